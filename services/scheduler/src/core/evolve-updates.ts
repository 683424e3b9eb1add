import { invariant } from '@serverless-ai/kernel'
import { tellAll } from './job-changes.ts'
import { counted, isReady, revisionOf } from './services.ts'
import type { Job, SchedulerState, Service } from './state.ts'
import type { UpdateFinished, UpdateStalled, UpdateStarted } from './update-messages.ts'

/** What updates do to a service. */

export function startUpdate(
  state: SchedulerState,
  service: Service,
  event: UpdateStarted,
  atMs: number,
): void {
  const { jobId, number, revision, fromRevision: from, drainMs, by } = event
  const { maxSurge, maxUnavailable, startupDeadlineMs } = event
  const spec = service.spec.service
  invariant(spec !== undefined && service.end === undefined, `${jobId} cannot be updated`)
  invariant(number > (service.update?.number ?? 0), `update ${number} of ${jobId} out of order`)
  const works = (job: Job) => revisionOf(job) === revision && isReady(job)
  service.update = {
    at: 'Rolling',
    number,
    revision,
    from,
    maxSurge,
    maxUnavailable,
    startupDeadlineMs,
    proven: revision === from || counted(service).some(works),
    failures: 0,
    cause: '',
    startedAtMs: atMs,
    changedAtMs: atMs,
  }
  service.spec = { ...service.spec, service: { ...spec, drainMs } }
  state.rolling.add(jobId)
  const details = { number: String(number), revision: String(revision), from: String(from), by }
  tellAll(service.story, { atMs, code: 'UPDATE_STARTED', details })
}

export function endUpdate(
  state: SchedulerState,
  service: Service,
  event: UpdateStalled | UpdateFinished,
  atMs: number,
): void {
  const { jobId, number } = event
  const { update } = service
  invariant(update?.at === 'Rolling' && update.number === number, `${jobId} is not updated`)
  const stalled = event.type === 'UpdateStalled'
  const cause = stalled ? event.cause : ''
  service.update = { ...update, at: stalled ? 'Stalled' : 'Done', cause, changedAtMs: atMs }
  state.rolling.delete(jobId)
  const told = { number: String(number), revision: String(update.revision) }
  const code = stalled ? 'UPDATE_STALLED' : 'UPDATED'
  tellAll(service.story, { atMs, code, details: stalled ? { ...told, cause } : told })
}

/** A replica was ready: if it is one of the new revision, that revision works. */
export function noteReady(service: Service, job: Job): void {
  job.served = true
  const { update } = service
  if (update?.at !== 'Rolling' || revisionOf(job) !== update.revision) return
  service.update = { ...update, proven: true, failures: 0 }
}

/** A replica failed; one of the new revision that never was ready counts against it. */
export function noteFailure(service: Service, gang: number): void {
  const { update, replicas } = service
  const job = replicas.get(gang)
  if (update?.at !== 'Rolling' || job === undefined || job.served === true) return
  if (revisionOf(job) !== update.revision) return
  service.update = { ...update, failures: update.failures + 1 }
}
