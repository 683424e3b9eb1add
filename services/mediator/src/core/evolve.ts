import { invariant, unreachable } from '@serverless-ai/kernel'
import type { MediatorEvent } from './messages.ts'
import {
  isFinished,
  type JobRecord,
  type MediatorState,
  type Placement,
  type ReplicaNews,
  STORY_MAX,
} from './model.ts'
import { replicaOf } from './replicas.ts'
import { revisionsOf, specOf, withRevision } from './revisions.ts'

function known(state: MediatorState, jobId: string): JobRecord {
  const job = state.jobs.get(jobId)
  invariant(job !== undefined, `${jobId} is not known`)
  return job
}

function tell(job: JobRecord, atMs: number, code: string, details: Record<string, string>): void {
  // The beginning says what the job is, the end how it stands: the oldest of the middle goes.
  if (job.story.length >= STORY_MAX) job.story.splice(1, 1)
  job.story.push({ atMs, code, details })
}

function finish(state: MediatorState, job: JobRecord, atMs: number): void {
  job.finishedMs = atMs
  state.finished.add(job.jobId)
}

type EventOf<T extends MediatorEvent['type']> = Extract<MediatorEvent, { type: T }>

function submitted(state: MediatorState, event: EventOf<'JobSubmitted'>, atMs: number): void {
  invariant(!state.jobs.has(event.jobId), `${event.jobId} was submitted twice`)
  const { jobId, tenant, submittedBy, requestId, spec } = event
  const job: JobRecord = {
    jobId,
    tenant,
    submittedBy,
    requestId,
    spec,
    submittedMs: atMs,
    state: 'Submitted',
    enqueued: false,
    observedMs: 0,
    cancelRequestedBy: '',
    reason: null,
    generation: 0,
    startedMs: 0,
    finishedMs: 0,
    message: '',
    code: '',
    resultJson: '',
    rejection: null,
    placement: null,
    progress: null,
    checkpoint: null,
    story: [],
  }
  tell(job, atMs, 'SUBMITTED', { by: submittedBy, queue: spec.queue, tasks: String(spec.tasks) })
  state.jobs.set(jobId, job)
  if (requestId !== '') state.requests.set(requestId, jobId)
}

function observed(state: MediatorState, { view }: EventOf<'JobStateObserved'>): void {
  const job = known(state, view.jobId)
  invariant(!isFinished(job.state), `${view.jobId} changed after its end`)
  invariant(view.generation >= job.generation, `${view.jobId} went back a generation`)
  job.state = view.state
  job.observedMs = view.atMs
  job.reason = view.reason
  job.generation = view.generation
  job.message = view.message
  job.code = view.code
  if (view.resultJson !== '') job.resultJson = view.resultJson
  if (view.scale !== undefined) job.scale = view.scale
  if (view.update !== undefined) job.update = view.update
  if (view.state === 'Running' && job.startedMs === 0) job.startedMs = view.atMs
  if (!isFinished(view.state)) return
  if (job.replicas !== undefined) job.replicas = []
  finish(state, job, view.atMs)
}

function launchPrepared(job: JobRecord, placement: Placement, atMs: number): void {
  if (job.spec.service !== undefined) {
    launchReplica(job, placement, atMs)
    return
  }
  const { generation, nodes, checkpointStep } = placement
  invariant((job.placement?.generation ?? 0) < generation, `${job.jobId} launched backwards`)
  job.placement = placement
  tell(job, atMs, 'LAUNCH_PREPARED', {
    generation: String(generation),
    nodes: nodes.join(','),
    checkpointStep: String(checkpointStep),
  })
}

/** A service has another description, or a former one. */
function serviceUpdated(job: JobRecord, event: EventOf<'ServiceUpdated'>, atMs: number): void {
  const { number, revision, spec, by } = event
  invariant(number === (job.updates ?? 0) + 1, `update ${number} of ${job.jobId} out of order`)
  job.updates = number
  job.revisions =
    spec === undefined ? revisionsOf(job) : withRevision(job, { revision, spec, atMs })
  job.revision = revision
  job.spec = specOf(job, revision)
  const details = { number: String(number), revision: String(revision), by }
  tell(job, atMs, 'UPDATE_REQUESTED', details)
}

function updateRefused(job: JobRecord, event: EventOf<'UpdateRefused'>, atMs: number): void {
  const { number, rejection } = event
  const details = { number: String(number), reason: rejection.reason }
  tell(job, atMs, 'UPDATE_REFUSED', details)
}

/** A replica gets its first generation, or the next one. */
function launchReplica(job: JobRecord, placement: Placement, atMs: number): void {
  const { gang, generation, nodes, rank0Ports } = placement
  const others = (job.replicas ?? []).filter((one) => one.placement.gang !== gang)
  const before = replicaOf(job, gang)
  invariant((before?.placement.generation ?? 0) < generation, `${job.jobId} launched backwards`)
  const nothing = { ready: false, served: false, draining: false, cause: '' }
  const where = { address: placement.masterAddress, port: rank0Ports[0] ?? 0 }
  job.replicas = [...others, { placement, ...nothing, ...where }].sort(
    (a, b) => a.placement.gang - b.placement.gang,
  )
  const details = { gang: String(gang), generation: String(generation), nodes: nodes.join(',') }
  tell(job, atMs, 'LAUNCH_PREPARED', details)
}

function replicaObserved(job: JobRecord, news: ReplicaNews): void {
  const replica = replicaOf(job, news.gang)
  invariant(replica !== undefined, `${job.jobId} has no replica ${news.gang}`)
  const { ready, draining, cause, address = '', port = 0 } = news
  if (ready !== undefined) {
    replica.ready = ready
    replica.cause = cause ?? ''
    if (ready) replica.served = true
  }
  if (draining === true) replica.draining = true
  if (address !== '') replica.address = address
  if (port > 0) replica.port = port
}

/** Folds an event. Changes `state` in place. */
export function evolve(state: MediatorState, event: MediatorEvent, atMs: number): MediatorState {
  switch (event.type) {
    case 'JobSubmitted':
      submitted(state, event, atMs)
      return state
    case 'JobEnqueued': {
      const job = known(state, event.jobId)
      invariant(!job.enqueued, `${event.jobId} was enqueued twice`)
      job.enqueued = true
      job.state = 'Queued'
      return state
    }
    case 'JobRejected': {
      const job = known(state, event.jobId)
      invariant(job.state === 'Submitted', `${event.jobId} was rejected after it was queued`)
      job.state = 'Rejected'
      job.rejection = event.rejection
      job.message = event.rejection.message
      job.code = event.rejection.reason
      tell(job, atMs, 'REJECTED', { reason: event.rejection.reason })
      finish(state, job, atMs)
      return state
    }
    case 'ServiceUpdated':
      serviceUpdated(known(state, event.jobId), event, atMs)
      return state
    case 'UpdateRefused':
      updateRefused(known(state, event.jobId), event, atMs)
      return state
    case 'JobCancelRequested': {
      const job = known(state, event.jobId)
      job.cancelRequestedBy = event.by
      tell(job, atMs, 'CANCEL_REQUESTED', { by: event.by })
      return state
    }
    case 'JobStateObserved':
      observed(state, event)
      return state
    case 'LaunchPrepared':
      launchPrepared(known(state, event.jobId), event.placement, atMs)
      return state
    case 'ReplicaObserved':
      replicaObserved(known(state, event.jobId), event.news)
      return state
    case 'ReplicaReleased': {
      const job = known(state, event.jobId)
      job.replicas = job.replicas?.filter(({ placement }) => placement.gang !== event.gang) ?? []
      return state
    }
    case 'ProgressObserved':
      known(state, event.jobId).progress = event.progress
      return state
    case 'CheckpointObserved':
      known(state, event.jobId).checkpoint = event.checkpoint
      return state
    case 'JobForgotten': {
      const job = known(state, event.jobId)
      invariant(isFinished(job.state), `${event.jobId} was forgotten before its end`)
      state.jobs.delete(event.jobId)
      state.finished.delete(event.jobId)
      state.requests.delete(job.requestId)
      return state
    }
    default:
      return unreachable(event)
  }
}
