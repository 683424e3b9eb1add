import { type Accepted, accept, type Decision, refuse } from '@serverless-ai/kernel'
import type { GangReleased, ObserveReadiness, ReplicaDraining, SchedulerEvent } from './messages.ts'
import { backoffTimers, released } from './releases.ts'
import type { Job, PhaseName, SchedulerState, Service } from './state.ts'
import { gangOf, isPlaced, unitOf } from './state.ts'

/** Events of a decision with its timers. */
export type Steps = {
  readonly events: SchedulerEvent[]
  readonly timers: { readonly key: string; readonly dueMs: number }[]
  readonly cancelTimers: string[]
}

export const noSteps = (): Steps => ({ events: [], timers: [], cancelTimers: [] })

/** Replicas that count: those that are draining are on their way out. */
export function counted(service: Service): Job[] {
  return [...service.replicas.values()].filter(({ drain }) => drain === undefined)
}

/** True while requests may be sent to it. */
export const isReady = (job: Job): boolean => isPlaced(job.phase) && job.ready?.now === true

/** How a replica stands, for its service's state. */
function standing(job: Job): PhaseName {
  const again = job.generation > 1 || job.ready !== undefined
  switch (job.phase.at) {
    case 'Running':
    case 'Starting':
      if (isReady(job)) return 'Running'
      return again ? 'Recovering' : 'Starting'
    case 'Admitted':
      return again ? 'Recovering' : 'Admitted'
    default:
      return job.phase.at
  }
}

const BEST_FIRST: readonly PhaseName[] = ['Running', 'Starting', 'Admitted', 'Recovering', 'Queued']

/**
 * State of a service as its owner sees it: `Running` while a replica is ready or none is wanted,
 * else that of the replica that is nearest to being ready.
 */
export function showsNow(service: Service): PhaseName {
  if (service.end !== undefined) return service.end.at
  if (service.scale.wanted === 0) return 'Running'
  const seen = new Set(counted(service).map(standing))
  return BEST_FIRST.find((phase) => seen.has(phase)) ?? 'Queued'
}

/** Key of the timer that ends a drain. */
function drainKey(jobId: string, gang: number, generation: number): string {
  return `drain:${jobId}:${generation}:${gang}`
}

/** Timers that a replica, or a job of one gang, has running. */
export function timersOf(job: Job): string[] {
  const { jobId } = job.spec
  const drains = job.drain === undefined ? [] : [drainKey(jobId, gangOf(job), job.generation)]
  return [...backoffTimers(job), ...drains]
}

/** Takes a replica away at once: what it holds is released. */
export function removal(job: Job, cause: GangReleased['cause']): SchedulerEvent[] {
  const { jobId } = job.spec
  return [...released(job, cause), { type: 'ReplicaRemoved', jobId, gang: gangOf(job) }]
}

/** What goes first when there are too many: what serves nobody, then the youngest. */
function dispensability(job: Job): number {
  if (isReady(job)) return 3
  if (isPlaced(job.phase)) return 2
  return job.phase.at === 'Recovering' ? 1 : 0
}

/**
 * Makes replicas as many as are wanted: new ones wait in the queue; of those that are too many a
 * ready one drains first, all others go at once.
 */
export function adjust(service: Service, wanted: number, atMs: number): Steps {
  const steps = noSteps()
  const present = counted(service)
  const surplus = present.length - wanted
  if (surplus < 0) add(steps, service, { revision: revisionToAdd(service), count: -surplus })
  for (const job of dispensable(present, surplus)) {
    takeAway(steps, service, { job, atMs, cause: 'SCALED_DOWN' })
  }
  return steps
}

/** The replicas that go first. */
export function dispensable(replicas: readonly Job[], count: number): Job[] {
  const order = [...replicas].sort(
    (a, b) => dispensability(a) - dispensability(b) || gangOf(b) - gangOf(a),
  )
  return order.slice(0, Math.max(0, count))
}

/** New replicas wait in the queue. */
export function add(
  steps: Steps,
  { spec, nextGang }: Service,
  what: { readonly revision: number; readonly count: number },
): void {
  const before = steps.events.reduce(
    (sum, event) => sum + (event.type === 'ReplicasAdded' ? event.gangs.length : 0),
    0,
  )
  const gangs = Array.from({ length: what.count }, (_, i) => nextGang + before + i)
  const revision = what.revision === 1 ? {} : { revision: what.revision }
  steps.events.push({ type: 'ReplicasAdded', jobId: spec.jobId, gangs, ...revision })
}

/** A replica goes: a ready one drains first, every other at once. */
export function takeAway(
  steps: Steps,
  service: Service,
  of: { readonly job: Job; readonly atMs: number; readonly cause: ReplicaDraining['cause'] },
): void {
  const { job, atMs, cause } = of
  const { jobId, service: spec } = service.spec
  const drainMs = spec?.drainMs ?? 0
  steps.cancelTimers.push(...timersOf(job))
  if (!isReady(job) || drainMs === 0) {
    steps.events.push(...removal(job, 'DRAINED'))
    return
  }
  const { generation } = job
  const gang = gangOf(job)
  const untilMs = atMs + drainMs
  steps.events.push({ type: 'ReplicaDraining', jobId, gang, generation, untilMs, cause })
  steps.timers.push({ key: drainKey(jobId, gang, generation), dueMs: untilMs })
}

/** Revision that a replica runs. */
export const revisionOf = (job: Job): number => job.revision ?? 1

/** Revision of replicas that are added now: none that has not shown yet that it works. */
export function revisionToAdd({ update }: Service): number {
  if (update === undefined) return 1
  if (update.at === 'Done') return update.revision
  return update.at === 'Rolling' && update.proven ? update.revision : update.from
}

/** The time of a draining replica is over. */
export function endDrain(
  state: SchedulerState,
  of: { readonly jobId: string; readonly gang: number; readonly generation: number },
): Decision<SchedulerEvent> {
  const job = unitOf(state, of.jobId, of.gang)
  if (job?.drain === undefined || job.generation !== of.generation) return accept([])
  return accept(removal(job, 'DRAINED'))
}

/** A draining replica that fails is over: nothing is placed in its stead. */
export function dropDraining(job: Job): Accepted<SchedulerEvent> {
  return accept(removal(job, 'DRAINED'), { cancelTimers: timersOf(job) })
}

/** What a probe found; rank 0 takes the requests, the current generation counts. */
export function observeReadiness(
  state: SchedulerState,
  seen: ObserveReadiness,
): Decision<SchedulerEvent> {
  const { jobId, gang, generation, rank, ready, cause } = seen
  const job = unitOf(state, jobId, gang)
  if (job?.gang === undefined || rank !== 0 || generation !== job.generation) return accept([])
  if (!isPlaced(job.phase)) return accept([])
  // That it never was ready is no news.
  if (job.ready === undefined ? !ready : job.ready.now === ready) return accept([])
  return accept([{ type: 'ReplicaReady', jobId, gang, generation, ready, cause }])
}

/** Ends a service: all replicas are released. */
export function endService(
  service: Service,
  end: Extract<SchedulerEvent, { type: 'JobFailed' | 'JobCancelled' }>,
): Decision<SchedulerEvent> {
  if (service.end !== undefined) {
    const same = end.type === 'JobCancelled' || service.end.at === 'Failed'
    const { jobId } = end
    return same ? accept([]) : refuse('JOB_FINISHED', { jobId, state: service.end.at })
  }
  const units = [...service.replicas.values()]
  const cause = end.type === 'JobFailed' ? 'FAILED' : 'CANCELLED'
  const events = units.flatMap((job) => removal(job, cause))
  return accept([...events, end], { cancelTimers: units.flatMap(timersOf) })
}
