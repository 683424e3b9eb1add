import {
  GangPlaced,
  GangReleased,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import { reasonOf } from '../core/explain.ts'
import type { ClassReasonChanged, SchedulerEvent } from '../core/messages.ts'
import type { Holding, Job, SchedulerState } from '../core/state.ts'
import { holdingKey } from '../core/state.ts'
import type { JobSpec, QueueSpec, Resources } from '../core/types.ts'
import { queueToProto, reasonToProto, resourcesToProto } from './protos.ts'
import { jobSentence } from './sentence.ts'

/**
 * Jobs of a class that are told of a new code, and of new numbers under the same code. Explain
 * tells all of them.
 */
const TOLD_CODE_MAX = 1_000
const TOLD_NUMBERS_MAX = 20

/** The public events of a domain event; `state` is the state after it. */
export function publish(event: SchedulerEvent, state: SchedulerState): PublicDraft[] {
  switch (event.type) {
    case 'QueueCreated':
      return [queueChanged(event.queue)]
    case 'ClassReasonChanged':
      return classEvents(event, state)
    case 'GangPlaced': {
      const job = state.jobs.get(event.jobId)!
      const key = holdingKey(event.jobId, event.gang, event.generation)
      return [gangPlaced(job, state.holdings.get(key)!, state), jobStateChanged(state, job)]
    }
    case 'GangReleased': {
      const { tenant } = state.jobs.get(event.jobId)!.spec
      const { jobId, gang, throughGeneration, cause } = event
      return [gangReleased({ jobId, tenant, gang, throughGeneration, cause })]
    }
    case 'JobQueued':
      return [jobStateChanged(state, state.jobs.get(event.job.jobId)!)]
    case 'TasksObserved':
      return event.phase === '' ? [] : [jobStateChanged(state, state.jobs.get(event.jobId)!)]
    case 'ResultReported': {
      const job = state.jobs.get(event.jobId)!
      return job.phase.at === 'Succeeded' ? [jobStateChanged(state, job)] : []
    }
    case 'JobReasonChanged':
    case 'JobRecovering':
    case 'JobSucceeded':
    case 'JobFailed':
    case 'JobCancelled':
      return [jobStateChanged(state, state.jobs.get(event.jobId)!)]
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
    const { jobId, tenant } = job.spec
    // Those that are released and not given back, too: nobody else could give them back.
    const holdings = held.get(jobId) ?? []
    for (const holding of holdings.toSorted((a, b) => a.generation - b.generation)) {
      yield gangPlaced(job, holding, state)
    }
    if (job.releasedThrough > 0) {
      const throughGeneration = job.releasedThrough
      const cause = releaseCause(job)
      yield gangReleased({ jobId, tenant, gang: 0, throughGeneration, cause })
    }
    yield jobStateChanged(state, job)
  }
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
  const payload = QueueChanged.encode({ queue: queueToProto(queue) }).finish()
  return { type: `${EVENTS}QueueChanged`, key: queue.name, tenant: queue.tenant, payload }
}

function classEvents(event: ClassReasonChanged, state: SchedulerState): PublicDraft[] {
  const waiting = state.queues.get(event.queue)!.classes.get(event.shape)!
  const told = Math.min(waiting.size, event.codeChanged ? TOLD_CODE_MAX : TOLD_NUMBERS_MAX)
  return Array.from({ length: told }, (_, i) => jobStateChanged(state, waiting.at(i)!))
}

function jobDraft(type: string, spec: Pick<JobSpec, 'jobId' | 'tenant'>, payload: Uint8Array) {
  return { type: `${EVENTS}${type}`, key: spec.jobId, tenant: spec.tenant, payload }
}

function jobStateChanged(state: SchedulerState, job: Job): PublicDraft {
  const { jobId, tenant, queue, name } = job.spec
  const reason = reasonOf(state, job)
  const payload = JobStateChanged.encode({
    jobId,
    tenant,
    queue,
    state: job.phase.at,
    reason: reason === undefined ? undefined : reasonToProto(reason),
    generation: job.generation,
    atMs: BigInt(Math.floor(job.changedAtMs)),
    message: jobSentence(job, reason),
    code: job.phase.at === 'Failed' ? job.phase.code : '',
    resultJson: job.result,
    name,
    scale: undefined,
  }).finish()
  return jobDraft('JobStateChanged', job.spec, payload)
}

function gangPlaced(job: Job, holding: Holding, state: SchedulerState): PublicDraft {
  const payload = GangPlaced.encode({
    jobId: holding.jobId,
    tenant: job.spec.tenant,
    gang: holding.gang,
    generation: holding.generation,
    nodes: holding.nodes.map((node) => state.fleet.ids[node]!),
    nodeOfRank: holding.tasksOnNode.flatMap((tasks, i) => Array.from({ length: tasks }, () => i)),
    deviceIndexes: holding.deviceIndexes,
    rank0Ports: holding.ports,
    perTask: resourcesToProto(holding.perTask satisfies Resources),
    exclusive: job.spec.gang.exclusive,
    checkpointPath: job.checkpointPath,
    checkpointStep: BigInt(job.checkpointStep),
    masterAddress: holding.masterAddress,
    nodeEmulated: holding.nodeEmulated,
    restartsCharged: job.restartsCharged,
  }).finish()
  return jobDraft('GangPlaced', job.spec, payload)
}

function gangReleased(event: {
  jobId: string
  tenant: string
  gang: number
  throughGeneration: number
  cause: string
}): PublicDraft {
  const { jobId, gang, throughGeneration, cause } = event
  const payload = GangReleased.encode({ jobId, gang, throughGeneration, cause }).finish()
  return jobDraft('GangReleased', event, payload)
}
