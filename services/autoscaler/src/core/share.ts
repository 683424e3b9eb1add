import type { Note } from './policy.ts'

/** A service that asks for replicas of one device budget. */
export interface ServiceClaim {
  readonly name: string
  readonly devicesPerReplica: number
  /** What its policy wants, and what it may not go below. */
  readonly wanted: number
  readonly floor: number
  /** Higher goes first when not all fit. */
  readonly priority: number
}

/** An elastic training job on the same budget. */
export interface TrainingClaim {
  readonly name: string
  readonly devicesPerTask: number
  /** Its contract: it never runs with fewer, nor with more. */
  readonly minTasks: number
  readonly maxTasks: number
  /** Tasks now; 0: it does not run, and is not started here. */
  readonly tasks: number
  /** When its size changed last; undefined: never. */
  readonly changedMs: number | undefined
  /** What a change costs it: it is not changed again before so long is over. */
  readonly restartCostMs: number
  /** Lower shrinks first. */
  readonly priority: number
}

/** What {@link shareDevices} divides. */
export interface ShareInput {
  readonly nowMs: number
  /** Devices for all of them; undefined: unknown, nothing grows. */
  readonly devices: number | undefined
  readonly services: readonly (ServiceClaim & { readonly target: number })[]
  readonly training: readonly TrainingClaim[]
  /** Devices stay free of training for so long after services needed them. */
  readonly giveBackAfterMs: number
}

/** Since when services have left devices that training could have: state of the allocator. */
export interface ShareState {
  readonly freeSinceMs: number | null
  /** Fewest devices that were free since. */
  readonly freeDevices: number
}

/** A part of the budget. */
export interface Grant {
  readonly name: string
  /** Replicas or tasks. */
  readonly count: number
  readonly notes: readonly Note[]
}

/** What everybody gets. */
export interface ShareDecision {
  readonly services: readonly Grant[]
  readonly training: readonly Grant[]
}

export const initialShare: ShareState = { freeSinceMs: null, freeDevices: 0 }

const byName = (a: { name: string }, b: { name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0

const highestFirst = <T extends { name: string; priority: number }>(items: readonly T[]) =>
  [...items].sort((a, b) => b.priority - a.priority || byName(a, b))

const note = (code: string, numbers: Note['numbers']): Note => ({ code, numbers })

const isSettling = (job: TrainingClaim, nowMs: number): boolean =>
  job.changedMs !== undefined && nowMs - job.changedMs < job.restartCostMs

/** Devices that jobs could leave now: down to their minimum, if their last change is long ago. */
function leavable(job: TrainingClaim, nowMs: number): number {
  if (job.tasks === 0 || isSettling(job, nowMs)) return 0
  return Math.max(0, job.tasks - job.minTasks) * job.devicesPerTask
}

/** Services first by priority: floors, then what is wanted; growth ends where devices do. */
function grantServices(input: ShareInput, forServices: number): Map<string, Grant> {
  const grants = new Map<string, Grant>()
  const ordered = highestFirst(input.services)
  let left = forServices
  const floors = new Map<string, number>()
  for (const service of ordered) {
    const wish = Math.min(service.wanted, service.floor)
    const count = Math.max(0, Math.min(wish, Math.floor(left / service.devicesPerReplica)))
    floors.set(service.name, count)
    left -= count * service.devicesPerReplica
  }
  for (const service of ordered) {
    const has = floors.get(service.name)!
    const more = Math.max(0, service.wanted - has)
    const count = has + Math.min(more, Math.max(0, Math.floor(left / service.devicesPerReplica)))
    left -= (count - has) * service.devicesPerReplica
    const { wanted } = service
    const notes = count < wanted ? [note('DEVICES_SHORT', { wanted, granted: count })] : []
    grants.set(service.name, { name: service.name, count, notes })
  }
  return grants
}

/** Takes devices from training, least important first, whole tasks, within the contracts. */
function shrink(input: ShareInput, needed: number): Map<string, Grant> {
  const grants = new Map<string, Grant>()
  let short = needed
  for (const job of highestFirst(input.training).reverse()) {
    const keep = (notes: readonly Note[]) => ({ name: job.name, count: job.tasks, notes })
    if (short <= 0 || job.tasks === 0) {
      grants.set(job.name, keep([]))
      continue
    }
    const may = leavable(job, input.nowMs)
    if (may === 0) {
      const code = isSettling(job, input.nowMs) ? 'RESTART_COST_WINDOW' : 'AT_MINIMUM'
      grants.set(job.name, keep([note(code, { tasks: job.tasks, short })]))
      continue
    }
    const tasks = Math.min(Math.ceil(short / job.devicesPerTask), may / job.devicesPerTask)
    short -= tasks * job.devicesPerTask
    const notes = [note('GIVES_WAY', { from: job.tasks, to: job.tasks - tasks })]
    grants.set(job.name, { name: job.name, count: job.tasks - tasks, notes })
  }
  return grants
}

/** Gives training back what services have left for long enough, most important first. */
function grow(input: ShareInput, free: number): Map<string, Grant> {
  const grants = new Map<string, Grant>()
  let left = free
  for (const job of highestFirst(input.training)) {
    const more = Math.min(job.maxTasks - job.tasks, Math.floor(left / job.devicesPerTask))
    if (job.tasks === 0 || more <= 0 || isSettling(job, input.nowMs)) {
      grants.set(job.name, { name: job.name, count: job.tasks, notes: [] })
      continue
    }
    left -= more * job.devicesPerTask
    const notes = [note('COMES_BACK', { from: job.tasks, to: job.tasks + more })]
    grants.set(job.name, { name: job.name, count: job.tasks + more, notes })
  }
  return grants
}

/**
 * Divides one device budget between services and elastic training. Services come first, by
 * priority, with as many devices as training may leave within its contracts (never below its
 * minimum, at most one change per restart cost); training grows back only into devices that were
 * free for long enough. The sum never exceeds the budget, unless what runs already does: then
 * nothing grows.
 */
export function shareDevices(
  input: ShareInput,
  state: ShareState,
): { readonly state: ShareState; readonly decision: ShareDecision } {
  const { nowMs, training, services } = input
  const running = training.reduce((sum, job) => sum + job.tasks * job.devicesPerTask, 0)
  const inUse = services.reduce((sum, one) => sum + one.target * one.devicesPerReplica, 0)
  const devices = input.devices ?? Math.min(Number.MAX_SAFE_INTEGER, running + inUse)
  const canLeave = training.reduce((sum, job) => sum + leavable(job, nowMs), 0)
  const served = grantServices(input, devices - running + canLeave)
  const used = services.reduce(
    (sum, one) => sum + served.get(one.name)!.count * one.devicesPerReplica,
    0,
  )
  const free = devices - running - used
  const inOrder = (grants: Map<string, Grant>, names: readonly { name: string }[]) =>
    names.map(({ name }) => grants.get(name)!)
  const decide = (grants: Map<string, Grant>): ShareDecision => ({
    services: inOrder(served, services),
    training: inOrder(grants, training),
  })
  if (free < 0) return { state: initialShare, decision: decide(shrink(input, -free)) }
  const freeDevices = state.freeSinceMs === null ? free : Math.min(state.freeDevices, free)
  const freeSinceMs = free === 0 ? null : (state.freeSinceMs ?? nowMs)
  const waited = freeSinceMs !== null && nowMs - freeSinceMs >= input.giveBackAfterMs
  if (!waited || input.devices === undefined) {
    return { state: { freeSinceMs, freeDevices }, decision: decide(shrink(input, 0)) }
  }
  return { state: initialShare, decision: decide(grow(input, freeDevices)) }
}
