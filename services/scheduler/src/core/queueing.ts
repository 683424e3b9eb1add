import { invariant } from '@serverless-ai/kernel'
import type { Job, QueueState } from './state.ts'
import { reasonDetails } from './story.ts'
import type { Reason } from './types.ts'
import { NOT_YET, shapeKey } from './types.ts'
import { JobClass } from './waiting.ts'

/** Files a never placed job under its shape. */
export function addWaiting(queue: QueueState, job: Job): void {
  const key = shapeKey(job.spec.gang)
  let waiting = queue.classes.get(key)
  if (waiting === undefined) {
    waiting = new JobClass<Job>(key, job.spec.gang, NOT_YET)
    queue.classes.set(key, waiting)
  }
  waiting.add(job)
  queue.queued++
}

/** Takes a job from where it waits; what its class waited for goes into its own story. */
export function stopWaiting(queue: QueueState, job: Job): void {
  if (job.phase.at === 'Queued') {
    const waiting = queue.classes.get(shapeKey(job.spec.gang))
    invariant(waiting !== undefined, `${job.spec.jobId} does not wait`)
    if (job.gang === undefined) job.story.push(...waitingStory(job, waiting))
    leaveClass(queue, job)
  } else if (job.phase.at === 'Recovering') {
    const at = queue.recovering.indexOf(job)
    invariant(at >= 0, `${job.spec.jobId} is not recovering`)
    queue.recovering.splice(at, 1)
  }
}

/** Takes a never placed job out of the class of its shape. */
export function leaveClass(queue: QueueState, job: Job): void {
  const key = shapeKey(job.spec.gang)
  const waiting = queue.classes.get(key)
  invariant(waiting !== undefined, `${job.spec.jobId} does not wait`)
  waiting.remove(job)
  if (waiting.size === 0) queue.classes.delete(key)
  queue.queued--
}

/** What a never placed job has waited for, as far as its class remembers. */
export function waitingStory(job: Job, waiting: JobClass<Job>): Job['story'] {
  const queued = { queue: job.spec.queue, priority: String(job.spec.priority) }
  const story: Job['story'] = []
  let first: Reason = NOT_YET
  for (const { atMs, reason } of waiting.history) {
    if (atMs <= job.queuedAtMs) first = reason
    else story.push({ atMs, code: 'QUEUED', details: { ...queued, ...reasonDetails(reason) } })
  }
  const details = { ...queued, ...(first === NOT_YET ? {} : reasonDetails(first)) }
  return [{ atMs: job.queuedAtMs, code: 'QUEUED', details }, ...story]
}
