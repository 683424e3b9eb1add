import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  CheckpointRequested,
  GangDraining,
  GangPlaced,
  GangReleased,
  JobScaled,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import { reasonOf } from '../core/explain.ts'
import type { ClassReasonChanged, SchedulerEvent } from '../core/messages.ts'
import { scaleNow, waitingReplica } from '../core/scale.ts'
import type { Holding, Job, SchedulerState, Service } from '../core/state.ts'
import { gangOf, holdingKey, unitOf } from '../core/state.ts'
import type { JobSpec, QueueSpec, Resources } from '../core/types.ts'
import { updateNow } from '../core/updates.ts'
import {
  queueToProto,
  reasonToProto,
  resourcesToProto,
  scaleToProto,
  updateToProto,
} from './protos.ts'
import { jobSentence, serviceSentence } from './sentence.ts'

/**
 * Jobs of a class that are told of a new code, and of new numbers under the same code. Explain
 * tells all of them.
 */
const TOLD_CODE_MAX = 1_000
const TOLD_NUMBERS_MAX = 20

/** The public events of a domain event; `state` is the state after it. */
export function publish(event: SchedulerEvent, state: SchedulerState, atMs: number): PublicDraft[] {
  switch (event.type) {
    case 'QueueCreated':
      return [queueChanged(event.queue)]
    case 'ClassReasonChanged':
      return classEvents(event, state, atMs)
    case 'GangPlaced': {
      const job = unitOf(state, event.jobId, event.gang)!
      const key = holdingKey(event.jobId, event.gang, event.generation)
      const placed = gangPlaced(job.spec, state.holdings.get(key)!, { state, job })
      return [placed, ...jobChanged(state, event.jobId, atMs)]
    }
    case 'GangReleased': {
      const { tenant } = specOf(state, event.jobId)
      const { jobId, gang, throughGeneration, cause } = event
      return [gangReleased({ jobId, tenant, gang, throughGeneration, cause })]
    }
    case 'JobQueued':
    case 'ServiceQueued':
      return jobChanged(state, event.job.jobId, atMs)
    case 'TasksObserved':
      return event.phase === '' ? [] : jobChanged(state, event.jobId, atMs)
    case 'ResultReported': {
      const job = state.jobs.get(event.jobId)
      return job?.phase.at === 'Succeeded' ? jobChanged(state, event.jobId, atMs) : []
    }
    case 'ReplicaDraining': {
      const { jobId, gang, generation, untilMs, cause } = event
      const { tenant } = specOf(state, jobId)
      const draining = gangDraining({ jobId, tenant, gang, generation, untilMs, cause })
      return [draining, ...jobChanged(state, jobId, atMs)]
    }
    case 'CheckpointRequested': {
      const { tenant } = specOf(state, event.jobId)
      return [checkpointRequested({ ...event, tenant }), ...jobChanged(state, event.jobId, atMs)]
    }
    case 'JobReasonChanged':
    case 'JobRecovering':
    case 'JobSucceeded':
    case 'JobFailed':
    case 'JobCancelled':
    case 'ScaleChanged':
    case 'ReplicaReady':
    case 'ReplicaRemoved':
    case 'UpdateStarted':
    case 'UpdateStalled':
    case 'UpdateFinished':
      return jobChanged(state, event.jobId, atMs)
    // With the change of scale, or the service, that they follow.
    case 'ReplicasAdded':
    case 'BackoffEnded':
    case 'RanksFreed':
    case 'NodeObserved':
    case 'NodeLost':
      return []
  }
}

/** The present state as public events: what a consumer that knows nothing must see. */
export function* snapshotFeed(state: SchedulerState): Generator<PublicDraft> {
  for (const queue of state.queues.values()) yield queueChanged(queue.spec)
  const held = Map.groupBy(state.holdings.values(), ({ jobId }) => jobId)
  for (const job of state.jobs.values()) {
    yield* gangs(state, job, held.get(job.spec.jobId) ?? [])
    yield* jobChanged(state, job.spec.jobId)
  }
  for (const service of state.services.values()) {
    const { jobId, tenant } = service.spec
    const byGang = Map.groupBy(held.get(jobId) ?? [], ({ gang }) => gang)
    for (const [gang, holdings] of byGang) {
      if (service.replicas.has(gang)) continue
      // A replica that is over and may still run: nobody else could give its devices back.
      for (const holding of holdings) yield gangPlaced(service.spec, holding, { state })
      const throughGeneration = Math.max(...holdings.map(({ generation }) => generation))
      yield gangReleased({ jobId, tenant, gang, throughGeneration, cause: 'DRAINED' })
    }
    for (const [gang, job] of service.replicas) {
      yield* gangs(state, job, byGang.get(gang) ?? [])
      const { generation, drain } = job
      if (drain !== undefined) yield gangDraining({ jobId, tenant, gang, generation, ...drain })
    }
    yield* jobChanged(state, jobId)
  }
}

/** What a job of one gang, or a replica, holds and held. */
function* gangs(
  state: SchedulerState,
  job: Job,
  holdings: readonly Holding[],
): Generator<PublicDraft> {
  const { jobId, tenant } = job.spec
  const gang = gangOf(job)
  // Those that are released and not given back, too: nobody else could give them back.
  for (const holding of holdings.toSorted((a, b) => a.generation - b.generation)) {
    yield gangPlaced(job.spec, holding, { state, job })
  }
  if (job.releasedThrough > 0) {
    const throughGeneration = job.releasedThrough
    yield gangReleased({ jobId, tenant, gang, throughGeneration, cause: releaseCause(job) })
  }
  if (job.notice !== undefined) {
    const { id: noticeId, deadlineMs, tasks } = job.notice
    const cause = `to ${tasks} tasks`
    const { generation } = job
    yield checkpointRequested({
      jobId,
      tenant,
      gang,
      generation,
      noticeId,
      deadlineMs,
      tasks,
      cause,
    })
  }
}

function specOf(state: SchedulerState, jobId: string): JobSpec {
  return (state.services.get(jobId) ?? state.jobs.get(jobId)!).spec
}

function releaseCause(job: Job): string {
  switch (job.phase.at) {
    case 'Succeeded':
      return 'FINISHED'
    case 'Failed':
      return 'FAILED'
    case 'Cancelled':
      return 'CANCELLED'
    default:
      return 'RECOVER'
  }
}

function queueChanged(queue: QueueSpec): PublicDraft {
  const payload = encodeMessage(QueueChanged, { queue: queueToProto(queue) })
  return { type: `${EVENTS}QueueChanged`, key: queue.name, tenant: queue.tenant, payload }
}

function classEvents(
  event: ClassReasonChanged,
  state: SchedulerState,
  atMs: number,
): PublicDraft[] {
  const waiting = state.queues.get(event.queue)!.classes.get(event.shape)!
  const told = Math.min(waiting.size, event.codeChanged ? TOLD_CODE_MAX : TOLD_NUMBERS_MAX)
  const jobs = new Set(Array.from({ length: told }, (_, i) => waiting.at(i)!.spec.jobId))
  return [...jobs].flatMap((jobId) => jobChanged(state, jobId, atMs))
}

function jobDraft(type: string, spec: Pick<JobSpec, 'jobId' | 'tenant'>, payload: Uint8Array) {
  return { type: `${EVENTS}${type}`, key: spec.jobId, tenant: spec.tenant, payload }
}

/** A job as it is now, and its scale if it has one. */
function jobChanged(state: SchedulerState, jobId: string, atMs?: number): PublicDraft[] {
  const service = state.services.get(jobId)
  const { spec, queuedAtMs } = service ?? state.jobs.get(jobId)!
  const scale = scaleNow(state, jobId)
  const told = service === undefined ? jobTold(state, jobId) : serviceTold(state, service)
  const { tenant, queue, name } = spec
  const reason = told.reason === undefined ? undefined : reasonToProto(told.reason)
  const common = { jobId, tenant, queue, reason, scale: scaleToProto(scale) }
  const changedMs = BigInt(Math.floor(told.changedAtMs))
  const queuedMs = BigInt(Math.floor(queuedAtMs))
  const update = updateToProto(updateNow(state, jobId))
  const changed = { ...common, ...told, reason, atMs: changedMs, queuedMs, name, update }
  const stateChanged = jobDraft('JobStateChanged', spec, encodeMessage(JobStateChanged, changed))
  if (scale === undefined) return [stateChanged]
  const { by, cause } = scale.state
  const waiting = scale.granted < scale.state.wanted ? reason : undefined
  const now = BigInt(Math.floor(atMs ?? told.changedAtMs))
  const scaled = { ...common, by, cause, waiting, atMs: now }
  return [stateChanged, jobDraft('JobScaled', spec, encodeMessage(JobScaled, scaled))]
}

/** What is told of a job that is one gang. */
function jobTold(state: SchedulerState, jobId: string) {
  const job = state.jobs.get(jobId)!
  const reason = reasonOf(state, job)
  return {
    state: job.phase.at,
    reason,
    generation: job.generation,
    changedAtMs: job.changedAtMs,
    message: jobSentence(job, reason),
    code: job.phase.at === 'Failed' ? job.phase.code : '',
    resultJson: job.result,
  }
}

/** What is told of a service: it has no generation, each of its replicas has one. */
function serviceTold(state: SchedulerState, service: Service) {
  const waiting = waitingReplica(service)
  const reason = waiting && reasonOf(state, waiting)
  return {
    state: service.shows,
    reason,
    generation: 0,
    changedAtMs: service.changedAtMs,
    message: serviceSentence(service, reason),
    code: service.end?.at === 'Failed' ? service.end.code : '',
    resultJson: '',
  }
}

function gangPlaced(
  spec: JobSpec,
  holding: Holding,
  /** `job`: the gang, unless it is over and forgotten. */
  of: { readonly state: SchedulerState; readonly job?: Job },
): PublicDraft {
  const { state, job } = of
  const payload = encodeMessage(GangPlaced, {
    jobId: holding.jobId,
    tenant: spec.tenant,
    gang: holding.gang,
    generation: holding.generation,
    nodes: holding.nodes.map((node) => state.fleet.ids[node]!),
    nodeOfRank: holding.tasksOnNode.flatMap((tasks, i) => Array.from({ length: tasks }, () => i)),
    deviceIndexes: holding.deviceIndexes,
    rank0Ports: holding.ports,
    perTask: resourcesToProto(holding.perTask satisfies Resources),
    exclusive: spec.gang.exclusive,
    checkpointPath: job?.checkpointPath ?? '',
    checkpointStep: BigInt(job?.checkpointStep ?? 0),
    masterAddress: holding.masterAddress,
    nodeEmulated: holding.nodeEmulated,
    restartsCharged: job?.restartsCharged ?? 0,
    revision: job?.revision ?? 0,
  })
  return jobDraft('GangPlaced', spec, payload)
}

function gangDraining(event: {
  jobId: string
  tenant: string
  gang: number
  generation: number
  untilMs: number
  cause: string
}): PublicDraft {
  const message = { ...event, untilMs: BigInt(Math.ceil(event.untilMs)) }
  return jobDraft('GangDraining', event, encodeMessage(GangDraining, message))
}

function checkpointRequested(event: {
  jobId: string
  tenant: string
  gang: number
  generation: number
  noticeId: string
  deadlineMs: number
  tasks: number
  cause: string
}): PublicDraft {
  const message = { ...event, deadlineMs: BigInt(Math.ceil(event.deadlineMs)) }
  return jobDraft('CheckpointRequested', event, encodeMessage(CheckpointRequested, message))
}

function gangReleased(event: {
  jobId: string
  tenant: string
  gang: number
  throughGeneration: number
  cause: string
}): PublicDraft {
  const { jobId, gang, throughGeneration, cause } = event
  const payload = encodeMessage(GangReleased, { jobId, gang, throughGeneration, cause })
  return jobDraft('GangReleased', event, payload)
}
