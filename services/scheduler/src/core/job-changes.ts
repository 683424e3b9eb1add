import { invariant } from '@serverless-ai/kernel'
import type { CheckpointRequested, ScaleChanged } from './messages.ts'
import { addWaiting, leaveClass } from './queueing.ts'
import type { Job, Phase, ScaleState, SchedulerState, StoryItem } from './state.ts'
import type { JobSpec } from './types.ts'
import { FINISHED_KEPT, STORY_MAX, withTasks } from './types.ts'

/** A job that was never placed. */
export function newJob(spec: JobSpec, order: number, atMs: number): Job {
  return {
    spec,
    order,
    queuedAtMs: atMs,
    phase: { at: 'Queued' },
    generation: 0,
    releasedThrough: 0,
    recovered: { generation: 0, incidentId: '' },
    checkpointPath: '',
    checkpointStep: 0,
    restartsCharged: 0,
    avoidNodes: [],
    result: '',
    changedAtMs: atMs,
    story: [],
  }
}

/** What the description asks for; nobody has decided anything yet. */
export function firstScale(wanted: number, atMs: number): ScaleState {
  const nobody = { owner: '', decisionId: '', by: '', cause: 'as described' }
  return { wanted, version: 1, ...nobody, changedAtMs: atMs }
}

/** The scale that an event makes. */
export function scaleOf(event: ScaleChanged, before: ScaleState, atMs: number): ScaleState {
  const { wanted, version, owner, decisionId, by, cause } = event
  invariant(version === before.version + 1, `scale of ${event.jobId} out of order`)
  return { wanted, version, owner, decisionId, by, cause, changedAtMs: atMs }
}

/** The entry of a version of a scale. */
export function scaledItem(event: ScaleChanged, before: ScaleState, atMs: number): StoryItem {
  const { wanted, version, owner, by, cause } = event
  const from = { from: String(before.wanted), wanted: String(wanted), version: String(version) }
  return { atMs, code: 'SCALED', details: { ...from, owner, by, cause } }
}

/** An elastic job shall have another number of tasks from its next placement on. */
export function rescale(state: SchedulerState, job: Job, event: ScaleChanged, atMs: number): void {
  invariant(job.scale !== undefined, `${event.jobId} is not elastic`)
  const item = scaledItem(event, job.scale, atMs)
  job.scale = scaleOf(event, job.scale, atMs)
  const queue = state.queues.get(job.spec.queue)!
  const waits = job.phase.at === 'Queued'
  // Its class follows from its size.
  if (waits) leaveClass(queue, job)
  job.spec = { ...job.spec, gang: withTasks(job.spec.gang, event.wanted) }
  if (waits) addWaiting(queue, job)
  tell(job, item)
}

/** A planned change of the size of a gang has begun. */
export function notice(job: Job, event: CheckpointRequested, atMs: number): void {
  const { noticeId, deadlineMs, tasks, cause, generation } = event
  invariant(job.scale !== undefined, `${event.jobId} is not elastic`)
  invariant(job.generation === generation, `notice of an older generation of ${event.jobId}`)
  job.notice = { id: noticeId, deadlineMs, tasks }
  job.resizedAtMs = atMs
  const details = { generation: String(generation), tasks: String(tasks), cause }
  tell(job, { atMs, code: 'CHECKPOINT_REQUESTED', details })
}

/** One more job is over; of the finished ones the newest stay known. */
export function forgetOldest(state: SchedulerState, jobId: string): void {
  state.live--
  state.finished.push(jobId)
  if (state.finished.length <= FINISHED_KEPT) return
  // What a forgotten job still holds stays in `holdings`.
  const oldest = state.finished.shift()!
  state.jobs.delete(oldest)
  state.services.delete(oldest)
}

/** A job's next phase, with what is told about it. */
export function enter(job: Job, phase: Phase, item: StoryItem): void {
  job.phase = phase
  job.changedAtMs = item.atMs
  tell(job, item)
}

/** Keeps the first entry and the newest. */
export function tell(job: Job, item: StoryItem): void {
  if (job.gang !== undefined) {
    tellAll(job.story, { ...item, details: { gang: String(job.gang), ...item.details } })
    return
  }
  job.story.push(item)
  if (job.story.length > STORY_MAX) job.story.splice(1, 1)
}

/** The same for the story that the replicas of a service share. */
export function tellAll(story: StoryItem[], item: StoryItem): void {
  story.push(item)
  if (story.length > STORY_MAX) story.splice(1, story.length - STORY_MAX)
}
