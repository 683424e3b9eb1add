import { accept, type Decision, type Refused, refuse } from '@serverless-ai/kernel'
import { canNeverFit, capacityFor, fleetReason } from './capacity.ts'
import type { GangReleased, GiveUpJob, RecoverGang, SchedulerEvent } from './messages.ts'
import type { Job, SchedulerState } from './state.ts'
import { isFinished, isPlaced } from './state.ts'
import type { GangSpec, JobSpec, QueueSpec, Reason, Resources, Shortfall } from './types.ts'
import { LIVE_JOBS_MAX, NOT_YET, QUEUES_MAX, TASKS_MAX, times } from './types.ts'

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
export function enqueueJob(state: SchedulerState, job: JobSpec): Decided {
  if (state.jobs.has(job.jobId)) return accept([])
  const refused = checkJob(state, job)
  if (refused !== undefined) return refused
  if (state.live >= LIVE_JOBS_MAX) return refuse('TOO_MANY_JOBS', { max: LIVE_JOBS_MAX })
  return accept([{ type: 'JobQueued', job }])
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
  const above = aboveMaximum(queue.spec, job.gang)
  if (above !== undefined) return refuse('EXCEEDS_QUEUE_MAX', { queue: job.queue, reason: above })
  if (!canNeverFit(state.fleet, job.gang)) return undefined
  const capacity = capacityFor(state.fleet, job.gang)
  const asked = job.gang.deviceModels.join(', ')
  const known = state.fleet.models
    .filter((name) => name !== '')
    .slice(0, MODELS_NAMED_MAX)
    .join(', ')
  return refuse('NO_MATCHING_NODE', { reason: fleetReason(capacity, job.gang), asked, known })
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
  ] as const
  for (const [field, value, min, max] of fields) {
    if (!inRange(value, min, max)) return { field, value, min, max }
  }
  return undefined
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

/** Ends a job; a finished one stays as it is. */
export function cancelJob(state: SchedulerState, jobId: string, by: string): Decided {
  const job = state.jobs.get(jobId)
  if (job === undefined) return refuse('JOB_NOT_FOUND', { jobId })
  if (isFinished(job.phase)) return accept([])
  const cancelTimers = timersOf(job)
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
  const job = state.jobs.get(jobId)
  if (job === undefined) return refuse('JOB_NOT_FOUND', { jobId })
  if (gang !== 0) return refuse('GANG_NOT_FOUND', { jobId, gang })
  const { recovered } = job
  const same = recovered.incidentId === plan.incidentId && recovered.generation === generation
  if (generation > 0 && same) return accept([])
  if (isFinished(job.phase)) return refuse('JOB_FINISHED', { jobId, state: job.phase.at })
  if (generation !== job.generation) return stale(job, generation)
  if (job.phase.at === 'Recovering') return accept([])
  if (!isPlaced(job.phase)) return stale(job, generation)
  const wait = plan.notBeforeMs > atMs
  const reason: Reason = wait ? { ...NOT_YET, code: 'BACKOFF', untilMs: plan.notBeforeMs } : NOT_YET
  const events: SchedulerEvent[] = [
    ...released(job, 'RECOVER'),
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
  const timers = [{ key: backoffKey(jobId, generation), dueMs: plan.notBeforeMs }]
  return accept(events, { timers })
}

/** Ends a job as failed. */
export function giveUpJob(state: SchedulerState, command: GiveUpJob): Decided {
  const { jobId, gang, expectedGeneration, code, cause, incidentId } = command
  const job = state.jobs.get(jobId)
  if (job === undefined) return refuse('JOB_NOT_FOUND', { jobId })
  if (gang !== 0) return refuse('GANG_NOT_FOUND', { jobId, gang })
  if (job.phase.at === 'Failed' && job.generation === expectedGeneration) return accept([])
  if (isFinished(job.phase)) return refuse('JOB_FINISHED', { jobId, state: job.phase.at })
  if (expectedGeneration !== job.generation) return stale(job, expectedGeneration)
  const end = { type: 'JobFailed', jobId, code, cause, incidentId } as const
  return accept([...released(job, 'FAILED'), end], { cancelTimers: timersOf(job) })
}

/** A due back-off timer. */
export function endBackoff(state: SchedulerState, jobId: string, generation: number): Decided {
  const phase = state.jobs.get(jobId)?.phase
  const current = state.jobs.get(jobId)?.generation === generation
  if (!current || phase?.at !== 'Recovering' || phase.notBeforeMs === 0) return accept([])
  return accept([{ type: 'BackoffEnded', jobId }])
}

/** The release of the job's current generation; nothing when it holds none. */
export function released(job: Job, cause: GangReleased['cause']): SchedulerEvent[] {
  if (!isPlaced(job.phase)) return []
  const { jobId } = job.spec
  return [{ type: 'GangReleased', jobId, gang: 0, throughGeneration: job.generation, cause }]
}

/** Key of the timer that ends a back-off. */
function backoffKey(jobId: string, generation: number): string {
  return `backoff:${jobId}:${generation}`
}

function timersOf(job: Job): string[] {
  const waits = job.phase.at === 'Recovering' && job.phase.notBeforeMs > 0
  return waits ? [backoffKey(job.spec.jobId, job.generation)] : []
}

function stale(job: Job, expected: number): Refused {
  const { jobId } = job.spec
  return refuse('STALE_GENERATION', { jobId, expected, current: job.generation })
}
