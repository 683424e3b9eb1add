import type { GangReleased, SchedulerEvent } from './messages.ts'
import type { Job } from './state.ts'
import { gangOf, isPlaced } from './state.ts'

/** The release of the job's current generation; nothing when it holds none. */
export function released(job: Job, cause: GangReleased['cause']): SchedulerEvent[] {
  if (!isPlaced(job.phase)) return []
  const { jobId } = job.spec
  const gang = gangOf(job)
  return [{ type: 'GangReleased', jobId, gang, throughGeneration: job.generation, cause }]
}

/** Key of the timer that ends a back-off: of a job of one gang as it has always been. */
export function backoffKey(job: Job): string {
  const { jobId } = job.spec
  const of = `backoff:${jobId}:${job.generation}`
  return job.gang === undefined ? of : `${of}:${job.gang}`
}

/** The back-off timer of a job that waits for one. */
export function backoffTimers(job: Job): string[] {
  const waits = job.phase.at === 'Recovering' && job.phase.notBeforeMs > 0
  return waits ? [backoffKey(job)] : []
}
