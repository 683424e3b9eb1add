import {
  accept,
  type DecideContext,
  type Decision,
  type Refused,
  refuse,
} from '@serverless-ai/kernel'
import { canNeverFit, capacityFor, fleetReason } from './capacity.ts'
import type { GiveUpJob, RecoverGang, SchedulerEvent } from './messages.ts'
import { backoffKey, backoffTimers, released } from './releases.ts'
import { dropDraining, endService } from './services.ts'
import type { Job, SchedulerState, Service } from './state.ts'
import { isFinished, isPlaced, unitOf } from './state.ts'
import type { GangSpec, JobSpec, QueueSpec, Reason, Resources, Shortfall } from './types.ts'
import {
  HOUR_MS,
  LIVE_JOBS_MAX,
  leastGang,
  NOT_YET,
  QUEUES_MAX,
  REPLICAS_MAX,
  SCALING_LEVEL,
  TASKS_MAX,
  times,
} from './types.ts'

type Decided = Decision<SchedulerEvent>

const QUEUE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const JOB_ID = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/
/** Device models of the fleet that a refusal names. */
const MODELS_NAMED_MAX = 10
const AMOUNT_MAX = 1_000_000_000
const DIMENSIONS = ['devices', 'cpuMillis', 'memoryMib'] as const

/** Makes a queue. */
export function createQueue(state: SchedulerState, queue: QueueSpec): Decided {
  if (!QUEUE_NAME.test(queue.name)) return refuse('INVALID_QUEUE', { field: 'name' })
  if (queue.tenant === '') return refuse('INVALID_QUEUE', { field: 'tenant' })
  const fields = [
    ['weight', queue.weight, 1, 1_000],
    ['priority', queue.priority, -1_000, 1_000],
    ...DIMENSIONS.map((d) => [`maximum.${d}`, queue.maximum[d], 0, AMOUNT_MAX] as const),
  ] as const
  for (const [field, value, min, max] of fields) {
    if (!inRange(value, min, max)) return refuse('INVALID_QUEUE', { field, value, min, max })
  }
  if (state.queues.has(queue.name)) return refuse('QUEUE_EXISTS', { queue: queue.name })
  if (state.queues.size >= QUEUES_MAX) return refuse('TOO_MANY_QUEUES', { max: QUEUES_MAX })
  return accept([{ type: 'QueueCreated', queue }])
}

/** Takes a job into its queue; a job that is known already is taken as it is. */
export function enqueueJob(state: SchedulerState, job: JobSpec, context: DecideContext): Decided {
  const { jobId, service } = job
  if (state.jobs.has(jobId) || state.services.has(jobId)) return accept([])
  const refused = checkJob(state, job)
  if (refused !== undefined) return refused
  if (state.live >= LIVE_JOBS_MAX) return refuse('TOO_MANY_JOBS', { max: LIVE_JOBS_MAX })
  // A version before this one may still lead the log, and would take it for something else.
  const scales = service !== undefined || job.gang.elastic !== undefined
  if (scales && (context.featureLevel ?? 1) < SCALING_LEVEL) {
    return refuse('FEATURE_NOT_ENABLED', { level: SCALING_LEVEL })
  }
  if (service === undefined) return accept([{ type: 'JobQueued', job }])
  const queued: SchedulerEvent = { type: 'ServiceQueued', job }
  if (service.replicas === 0) return accept([queued])
  const gangs = Array.from({ length: service.replicas }, (_, i) => i + 1)
  return accept([queued, { type: 'ReplicasAdded', jobId, gangs }])
}

/**
 * Everything that is refused at once instead of waiting; undefined = nothing. Also the advisory
 * check.
 */
export function checkJob(state: SchedulerState, job: JobSpec): Refused | undefined {
  const invalid = invalidField(job)
  if (invalid !== undefined) return refuse('INVALID_SPEC', invalid)
  const queue = state.queues.get(job.queue)
  if (queue === undefined || queue.spec.tenant !== job.tenant) {
    return refuse('UNKNOWN_QUEUE', { queue: job.queue, tenant: job.tenant })
  }
  if (job.waitForCapacity) return undefined
  const gang = leastGang(job.gang)
  const above = aboveMaximum(queue.spec, gang)
  if (above !== undefined) return refuse('EXCEEDS_QUEUE_MAX', { queue: job.queue, reason: above })
  if (!canNeverFit(state.fleet, gang)) return undefined
  const capacity = capacityFor(state.fleet, gang)
  const asked = job.gang.deviceModels.join(', ')
  const known = state.fleet.models
    .filter((name) => name !== '')
    .slice(0, MODELS_NAMED_MAX)
    .join(', ')
  return refuse('NO_MATCHING_NODE', { reason: fleetReason(capacity, gang), asked, known })
}

/** The reason of a gang that alone is above its queue's maximum. */
export function aboveMaximum(queue: QueueSpec, gang: GangSpec): Reason | undefined {
  const free = queue.maximum
  return quotaReason('EXCEEDS_QUEUE_MAX', { queue, gang, free })
}

/** The reason of a gang for which the queue's maximum leaves too little. */
export function quotaReason(
  code: 'EXCEEDS_QUEUE_MAX' | 'QUOTA_WAIT',
  of: { queue: QueueSpec; gang: GangSpec; free: Resources },
): Reason | undefined {
  const want = times(of.gang.perTask, of.gang.tasks)
  const shortfalls: Shortfall[] = []
  for (const dimension of DIMENSIONS) {
    const total = of.queue.maximum[dimension]
    if (total === 0 || want[dimension] <= of.free[dimension]) continue
    const free = Math.max(0, of.free[dimension])
    shortfalls.push({ dimension, want: want[dimension], free, total, nodeId: '', perTask: false })
  }
  return shortfalls.length === 0 ? undefined : { ...NOT_YET, code, shortfalls }
}

/** Tasks that the maximum of a queue leaves room for. */
export function tasksInQuota(queue: QueueSpec, perTask: Resources, used: Resources): number {
  let tasks = Number.POSITIVE_INFINITY
  for (const dimension of DIMENSIONS) {
    const total = queue.maximum[dimension]
    if (total === 0 || perTask[dimension] === 0) continue
    tasks = Math.min(tasks, Math.floor((total - used[dimension]) / perTask[dimension]))
  }
  return Math.max(0, tasks)
}

function invalidField(job: JobSpec): Record<string, string | number> | undefined {
  const { gang } = job
  if (!JOB_ID.test(job.jobId)) return { field: 'job_id' }
  if (gang.deviceModels.length > 32) return { field: 'device_models', max: 32 }
  if (gang.deviceModels.some((model) => model === '' || model.length > 128)) {
    return { field: 'device_models' }
  }
  const fields = [
    ['tasks', gang.tasks, 1, TASKS_MAX],
    ['per_task.devices', gang.perTask.devices, 0, TASKS_MAX],
    ['per_task.cpu_millis', gang.perTask.cpuMillis, 0, AMOUNT_MAX],
    ['per_task.memory_mib', gang.perTask.memoryMib, 0, AMOUNT_MAX],
    ['rank0_ports', gang.rank0Ports, 0, 16],
    ['priority', job.priority, -1_000, 1_000],
    // What one commit can carry.
    ['tasks × devices', gang.tasks * gang.perTask.devices, 0, TASKS_MAX],
    ...scalingFields(job),
  ] as const
  for (const [field, value, min, max] of fields) {
    if (!inRange(value, min, max)) return { field, value, min, max }
  }
  return undefined
}

type Field = readonly [field: string, value: number, min: number, max: number]

function scalingFields({ gang, service }: JobSpec): readonly Field[] {
  const fields: Field[] = []
  if (service !== undefined) {
    const { minReplicas, maxReplicas, replicas, drainMs } = service
    fields.push(
      ['service.max_replicas', maxReplicas, 1, REPLICAS_MAX],
      ['service.min_replicas', minReplicas, 0, maxReplicas],
      ['service.replicas', replicas, minReplicas, maxReplicas],
      ['service.drain_ms', drainMs, 0, HOUR_MS],
      // One of them would have to be forgotten.
      ['min_tasks', gang.elastic?.minTasks ?? 0, 0, 0],
    )
  } else if (gang.elastic !== undefined) {
    const { minTasks, maxTasks, cooldownMs, noticeMs } = gang.elastic
    fields.push(
      ['min_tasks', minTasks, 1, gang.tasks],
      ['max_tasks', maxTasks, gang.tasks, TASKS_MAX],
      ['max_tasks × devices', maxTasks * gang.perTask.devices, 0, TASKS_MAX],
      ['cooldown_ms', cooldownMs, 0, 24 * HOUR_MS],
      ['notice_ms', noticeMs, 0, HOUR_MS],
    )
  }
  return fields
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

/** Ends a job; a finished one stays as it is. */
export function cancelJob(state: SchedulerState, jobId: string, by: string): Decided {
  const service = state.services.get(jobId)
  if (service !== undefined) return endService(service, { type: 'JobCancelled', jobId, by })
  const job = state.jobs.get(jobId)
  if (job === undefined) return refuse('JOB_NOT_FOUND', { jobId })
  if (isFinished(job.phase)) return accept([])
  const cancelTimers = backoffTimers(job)
  return accept([...released(job, 'CANCELLED'), { type: 'JobCancelled', jobId, by }], {
    cancelTimers,
  })
}

/**
 * Releases the failed generation and lets the next one wait. The caller names the generation it
 * means; a call that was carried out already is accepted again, another one about an older
 * generation is refused.
 */
export function recoverGang(state: SchedulerState, command: RecoverGang, atMs: number): Decided {
  const { jobId, gang, expectedGeneration: generation, plan } = command
  const job = unitOf(state, jobId, gang)
  if (job === undefined) return unknownGang(state, jobId, gang)
  const { recovered } = job
  const same = recovered.incidentId === plan.incidentId && recovered.generation === generation
  if (generation > 0 && same) return accept([])
  if (isFinished(job.phase)) return refuse('JOB_FINISHED', { jobId, state: job.phase.at })
  if (generation !== job.generation) return stale(job, generation)
  if (job.phase.at === 'Recovering') return accept([])
  if (!isPlaced(job.phase)) return stale(job, generation)
  if (job.drain !== undefined) return dropDraining(job)
  const planned = plan.incidentId !== '' && plan.incidentId === job.notice?.id
  const wait = plan.notBeforeMs > atMs
  const reason: Reason = wait ? { ...NOT_YET, code: 'BACKOFF', untilMs: plan.notBeforeMs } : NOT_YET
  const events: SchedulerEvent[] = [
    ...released(job, planned ? 'RESIZE' : 'RECOVER'),
    {
      type: 'JobRecovering',
      jobId,
      gang,
      generation,
      plan: { ...plan, notBeforeMs: wait ? plan.notBeforeMs : 0 },
      reason,
    },
  ]
  if (!wait) return accept(events)
  const timers = [{ key: backoffKey(job), dueMs: plan.notBeforeMs }]
  return accept(events, { timers })
}

/** Ends a job as failed. */
export function giveUpJob(state: SchedulerState, command: GiveUpJob): Decided {
  const { jobId, gang, expectedGeneration, code, cause, incidentId } = command
  const service = state.services.get(jobId)
  if (service !== undefined) return giveUpService(service, command)
  const job = unitOf(state, jobId, gang)
  if (job === undefined) return unknownGang(state, jobId, gang)
  if (job.phase.at === 'Failed' && job.generation === expectedGeneration) return accept([])
  if (isFinished(job.phase)) return refuse('JOB_FINISHED', { jobId, state: job.phase.at })
  if (expectedGeneration !== job.generation) return stale(job, expectedGeneration)
  const end = { type: 'JobFailed', jobId, code, cause, incidentId } as const
  return accept([...released(job, 'FAILED'), end], { cancelTimers: backoffTimers(job) })
}

/** A replica that is given up ends its service; one that is draining only itself. */
function giveUpService(service: Service, command: GiveUpJob): Decided {
  const { jobId, gang, expectedGeneration, code, cause, incidentId } = command
  const job = service.replicas.get(gang)
  if (service.end === undefined) {
    if (job === undefined) return refuse('GANG_NOT_FOUND', { jobId, gang })
    if (expectedGeneration !== job.generation) return stale(job, expectedGeneration)
    if (job.drain !== undefined) return dropDraining(job)
  }
  return endService(service, { type: 'JobFailed', jobId, code, cause, incidentId })
}

function unknownGang(state: SchedulerState, jobId: string, gang: number): Refused {
  const known = state.jobs.has(jobId) || state.services.has(jobId)
  return known ? refuse('GANG_NOT_FOUND', { jobId, gang }) : refuse('JOB_NOT_FOUND', { jobId })
}

/** A due back-off timer. */
export function endBackoff(
  state: SchedulerState,
  of: { readonly jobId: string; readonly gang?: number; readonly generation: number },
): Decided {
  const job = unitOf(state, of.jobId, of.gang ?? 0)
  if (job === undefined || job.generation !== of.generation) return accept([])
  if (job.phase.at !== 'Recovering' || job.phase.notBeforeMs === 0) return accept([])
  const which = job.gang === undefined ? {} : { gang: job.gang }
  return accept([{ type: 'BackoffEnded', jobId: of.jobId, ...which }])
}

function stale(job: Job, expected: number): Refused {
  const { jobId } = job.spec
  return refuse('STALE_GENERATION', { jobId, expected, current: job.generation })
}
