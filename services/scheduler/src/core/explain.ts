import { capacityFor, fleetReason } from './capacity.ts'
import { giveBack, placeGang } from './placement.ts'
import { waitingStory } from './queueing.ts'
import { explainWait } from './reason.ts'
import { type ScaleNow, scaleNow, waitingReplica } from './scale.ts'
import type { Job, PhaseName, QueueState, SchedulerState, Service, StoryItem } from './state.ts'
import type { JobSpec, Reason } from './types.ts'
import { leastGang, shapeKey } from './types.ts'
import { type UpdateNow, updateNow } from './updates.ts'

/** Jobs named that stand before a waiting one. */
const AHEAD_NAMED_MAX = 5

/** What the scheduler has to say about a job. */
export type Explanation = {
  readonly tenant: string
  readonly state: PhaseName
  /** Only of a job that waits. */
  readonly reason: Reason | undefined
  readonly generation: number
  /** Oldest first. */
  readonly story: readonly StoryItem[]
  /** Place in its queue from 1; 0 = does not wait. */
  readonly queuePosition: number
  /** Of a service or an elastic job. */
  readonly scale: ScaleNow | undefined
  /** Of a service that was updated. */
  readonly update?: UpdateNow | undefined
}

/** The story of a job in this state; undefined when it is not known (any more). */
export function explainJob(state: SchedulerState, jobId: string): Explanation | undefined {
  const service = state.services.get(jobId)
  if (service !== undefined) return explainService(state, service)
  const job = state.jobs.get(jobId)
  if (job === undefined) return undefined
  const { tenant } = job.spec
  const scale = scaleNow(state, jobId)
  const common = { tenant, state: job.phase.at, generation: job.generation, scale }
  const queue = state.queues.get(job.spec.queue)!
  if (job.phase.at === 'Recovering') {
    const queuePosition = queue.recovering.indexOf(job) + 1
    return { ...common, reason: job.phase.reason, story: job.story, queuePosition }
  }
  if (job.phase.at !== 'Queued') {
    return { ...common, reason: undefined, story: job.story, queuePosition: 0 }
  }
  const waiting = queue.classes.get(shapeKey(job.spec.gang))!
  const ahead = jobsAhead(queue, job)
  const story = [...job.story, ...waitingStory(job, waiting)]
  const last = story.at(-1)!
  const names = aheadOf(queue, job)
  const details = { ...last.details, jobsAhead: String(ahead) }
  const told = names.length === 0 ? details : { ...details, ahead: names.join(',') }
  story[story.length - 1] = { ...last, details: told }
  return { ...common, reason: waiting.reason, story, queuePosition: ahead + 1 }
}

function explainService(state: SchedulerState, service: Service): Explanation {
  const { spec, story, shows } = service
  const waiting = waitingReplica(service)
  const reason = waiting && reasonOf(state, waiting)
  const queue = state.queues.get(spec.queue)!
  const ahead = waiting?.phase.at === 'Queued' ? jobsAhead(queue, waiting) + 1 : 0
  const scale = scaleNow(state, spec.jobId)
  const update = updateNow(state, spec.jobId)
  const common = { tenant: spec.tenant, state: shows, generation: 0, story, scale, update }
  return { ...common, reason, queuePosition: ahead }
}

/** Why a waiting job waits; undefined when it does not. */
export function reasonOf(state: SchedulerState, job: Job): Reason | undefined {
  if (job.phase.at === 'Recovering') return job.phase.reason
  if (job.phase.at !== 'Queued') return undefined
  return state.queues.get(job.spec.queue)!.classes.get(shapeKey(job.spec.gang))!.reason
}

/** Jobs that stand before a never placed one in its queue. */
export function jobsAhead(queue: QueueState, job: Job): number {
  let ahead = queue.recovering.length
  for (const waiting of queue.classes.values()) ahead += waiting.before(job)
  return ahead
}

/** The first few of them. */
function aheadOf(queue: QueueState, job: Job): string[] {
  const names = queue.recovering.slice(0, AHEAD_NAMED_MAX).map((one) => one.spec.jobId)
  const first = [...queue.classes.values()].flatMap((waiting) => {
    const count = Math.min(waiting.before(job), AHEAD_NAMED_MAX)
    return Array.from({ length: count }, (_, i) => waiting.at(i)!)
  })
  first.sort((a, b) => b.spec.priority - a.spec.priority || a.order - b.order)
  return [...names, ...first.map((one) => one.spec.jobId)].slice(0, AHEAD_NAMED_MAX)
}

/**
 * What would make a (valid) job wait if it came now; undefined = a place is free. Others in the
 * queue are not looked at.
 */
export function assessJob(state: SchedulerState, job: JobSpec): Reason | undefined {
  const { fleet } = state
  const queue = state.queues.get(job.queue)!
  const gang = leastGang(job.gang)
  const capacity = capacityFor(fleet, gang)
  const { used } = queue
  const wait = explainWait(queue.spec, { gang, used, capacity })
  if (wait !== undefined) return wait
  const { gains, version } = fleet
  const plan = placeGang(fleet, gang)
  if (plan !== undefined) giveBack(fleet, gang, plan)
  fleet.gains = gains
  fleet.version = version
  return plan === undefined ? fleetReason(capacity, gang) : undefined
}
