import { invariant } from '@serverless-ai/kernel'
import type { JobEvent } from './evolve.ts'
import { endUpdate, noteReady, startUpdate } from './evolve-updates.ts'
import {
  firstScale,
  forgetOldest,
  newJob,
  scaledItem,
  scaleOf,
  tell,
  tellAll,
} from './job-changes.ts'
import type { JobCancelled, JobFailed, ReplicaDraining, ReplicaReady } from './messages.ts'
import { addWaiting, stopWaiting } from './queueing.ts'
import { showsNow } from './services.ts'
import type { Job, SchedulerState, Service } from './state.ts'
import { isPlaced } from './state.ts'
import type { JobSpec } from './types.ts'

/** A service without replicas. */
export function queueService(state: SchedulerState, spec: JobSpec, atMs: number): void {
  const { jobId, queue } = spec
  invariant(!state.jobs.has(jobId) && !state.services.has(jobId), `job ${jobId} queued twice`)
  invariant(state.queues.has(queue), `unknown queue ${queue}`)
  invariant(spec.service !== undefined, `${jobId} has no replicas`)
  const { replicas } = spec.service
  const details = { queue, priority: String(spec.priority), replicas: String(replicas) }
  const service: Service = {
    spec,
    queuedAtMs: atMs,
    scale: firstScale(replicas, atMs),
    nextGang: 1,
    replicas: new Map(),
    end: undefined,
    shows: 'Queued',
    changedAtMs: atMs,
    story: [{ atMs, code: 'QUEUED', details }],
  }
  state.services.set(jobId, service)
  state.live++
  show(service, atMs)
}

/** Brings the state that its owner sees up to date. */
export function show(service: Service, atMs: number): void {
  const shows = showsNow(service)
  if (shows === service.shows) return
  service.shows = shows
  service.changedAtMs = atMs
}

/** Folds what concerns a service as a whole; false for what concerns one of its replicas. */
export function changeService(
  state: SchedulerState,
  service: Service,
  event: JobEvent,
  atMs: number,
): boolean {
  switch (event.type) {
    case 'ScaleChanged':
      tellAll(service.story, scaledItem(event, service.scale, atMs))
      service.scale = scaleOf(event, service.scale, atMs)
      return true
    case 'ReplicasAdded':
      for (const gang of event.gangs) add(state, service, { gang, ...event }, atMs)
      return true
    case 'ReplicaReady': {
      const job = replicaOf(service, event.gang)
      ready(job, event, atMs)
      if (event.ready) noteReady(service, job)
      return true
    }
    case 'ReplicaDraining':
      drain(replicaOf(service, event.gang), event, atMs)
      return true
    case 'ReplicaRemoved':
      remove(state, service, replicaOf(service, event.gang))
      return true
    case 'UpdateStarted':
      startUpdate(state, service, event, atMs)
      return true
    case 'UpdateStalled':
    case 'UpdateFinished':
      endUpdate(state, service, event, atMs)
      return true
    case 'JobFailed':
    case 'JobCancelled':
      end(state, service, event, atMs)
      return true
    default:
      return false
  }
}

function replicaOf(service: Service, gang: number): Job {
  const job = service.replicas.get(gang)
  invariant(job !== undefined, `${service.spec.jobId} has no replica ${gang}`)
  return job
}

function add(
  state: SchedulerState,
  service: Service,
  { gang, revision }: { readonly gang: number; readonly revision?: number },
  atMs: number,
): void {
  const { spec, story } = service
  invariant(gang === service.nextGang, `gang ${gang} of ${spec.jobId} out of order`)
  const base = { ...newJob(spec, state.nextOrder++, atMs), gang, story }
  const job: Job = revision === undefined ? base : { ...base, revision }
  service.nextGang++
  service.replicas.set(gang, job)
  addWaiting(state.queues.get(spec.queue)!, job)
}

function ready(job: Job, event: ReplicaReady, atMs: number): void {
  invariant(job.generation === event.generation, `readiness of an older generation`)
  job.ready = { now: event.ready, cause: event.cause }
  const details = { generation: String(event.generation), cause: event.cause }
  tell(job, { atMs, code: event.ready ? 'READY' : 'NOT_READY', details })
}

function drain(job: Job, event: ReplicaDraining, atMs: number): void {
  invariant(job.generation === event.generation && isPlaced(job.phase), 'nothing to drain')
  invariant(job.drain === undefined, `${job.spec.jobId}/${job.gang} drains twice`)
  job.drain = { untilMs: event.untilMs, cause: event.cause }
  const details = { untilMs: String(event.untilMs), cause: event.cause }
  tell(job, { atMs, code: 'DRAINING', details })
}

function remove(state: SchedulerState, service: Service, job: Job): void {
  invariant(!isPlaced(job.phase), `${job.spec.jobId}/${job.gang} is removed and holds devices`)
  stopWaiting(state.queues.get(job.spec.queue)!, job)
  service.replicas.delete(job.gang ?? 0)
}

function end(
  state: SchedulerState,
  service: Service,
  event: JobFailed | JobCancelled,
  atMs: number,
): void {
  const { jobId } = service.spec
  state.rolling.delete(jobId)
  invariant(service.replicas.size === 0 && service.end === undefined, `${jobId} cannot end now`)
  if (event.type === 'JobFailed') {
    const { code, cause, incidentId } = event
    service.end = { at: 'Failed', code, cause }
    tellAll(service.story, { atMs, code: 'FAILED', details: { code, cause, incident: incidentId } })
  } else {
    service.end = { at: 'Cancelled', by: event.by }
    tellAll(service.story, { atMs, code: 'CANCELLED', details: { by: event.by } })
  }
  forgetOldest(state, jobId)
}
