/** What a step comes to: a function of the state, the signals and the time of the log alone. */
import { learnCapacity } from './capacity.ts'
import { clausesOf } from './clauses.ts'
import {
  isOurs,
  isSettling,
  isTraining,
  promisedCount,
  someWait,
  tasksOf,
  whyBlocked,
} from './control.ts'
import { type Devices, devicesNow, quotaFor } from './fleet.ts'
import { GAP_MAX_MS } from './limits.ts'
import { devicesEach, heldBy, leavable, limitsOf } from './limits-of.ts'
import type { Signals, Stepped } from './messages.ts'
import type { AutoscalerState, CapacityView, PolicyName, PolicyRun, Target } from './model.ts'
import { isActive, observe } from './observe.ts'
import { type Decision, type Note, withinLimits } from './policy.ts'
import { beginRun, goesOn, stepRun, withNewCapacity } from './run.ts'
import { type ShareState, shareDevices } from './share.ts'

/** A service after a step. */
export interface ServiceStep {
  readonly jobId: string
  readonly run: PolicyRun
  readonly capacity: CapacityView
  readonly clockMs: number
  readonly activeMs: number
  readonly busy: readonly string[]
  readonly decision: Decision
}

/** A number that is wished for a target, and why. */
export interface Wish {
  readonly jobId: string
  readonly wanted: number
  readonly policyWanted: number
  readonly policy: PolicyName | 'share'
  readonly decision: Decision
}

/** All that a step comes to. */
export interface Outlook {
  readonly services: readonly ServiceStep[]
  readonly share: ShareState
  readonly shareClockMs: number
  readonly wishes: readonly Wish[]
}

/**
 * A time that has no jumps: what passed, but not more than a policy may take for a step, and for
 * a rest that was watched.
 */
const passed = (clockMs: number, lastMs: number, atMs: number, restMs = 0): number =>
  clockMs + (lastMs === 0 ? GAP_MAX_MS : Math.min(GAP_MAX_MS + restMs, Math.max(1, atMs - lastMs)))

/** How much of the time since the last step is known to have been a rest. */
const restOf = ({ steppedMs }: Target, { restMs = 0 }: Signals, atMs: number): number =>
  steppedMs === 0 ? 0 : Math.max(0, Math.min(restMs, atMs - steppedMs))

function stepService(
  state: AutoscalerState,
  target: Target,
  of: {
    readonly row: Signals
    readonly stepped: Stepped
    readonly atMs: number
    readonly devices: Devices
    readonly leavable: number
  },
): ServiceStep | undefined {
  const { row, stepped, atMs } = of
  const { service, scale, mode } = target
  if (service === undefined || scale === undefined || mode === 'off') return undefined
  const clauses = clausesOf(state, target)
  const restMs = restOf(target, row, atMs)
  const nowMs = passed(target.clockMs, target.steppedMs, atMs, restMs)
  const capacity = learnCapacity(target.capacity, row.ended, {
    ready: scale.ready,
    tookMs: Math.min(GAP_MAX_MS, nowMs - target.clockMs),
    settings: service.settings,
    clauses,
  })
  const { stepMs, longestMs } = stepped
  const policyOf = { service, clauses, capacity, stepMs, longestMs }
  const same = capacity.capacityMilli === target.capacity.capacityMilli
  const kept = target.run !== undefined && goesOn(target.run, policyOf) ? target.run : undefined
  const before = kept === undefined ? beginRun(policyOf) : same ? kept : withNewCapacity(kept)
  const limits = limitsOf(state, target, of)
  const seen = observe(target, row, { nowMs, atMs, limits, stepMs, restMs })
  const { run, decision: own } = stepRun(before, seen, policyOf)
  // Not every policy knows of budgets and quotas.
  const decision = { ...own, wanted: withinLimits(own.wanted, limits, scale.wanted) }
  const activeMs = isActive(row) ? nowMs : target.activeMs
  return { jobId: target.jobId, run, capacity, clockMs: nowMs, activeMs, busy: row.busy, decision }
}

/** What a policy wants, as far as it may be followed while a gate that held requests is silent. */
function followed(target: Target, { decision }: ServiceStep, row: Signals): Decision {
  const wanted = target.scale?.wanted ?? 0
  const silent = row.silent ?? 0
  if (silent === 0 || decision.wanted >= wanted) return decision
  return { ...decision, wanted, hold: { code: 'SOURCE_SILENT', numbers: { sources: silent } } }
}

const CLASSES: Readonly<Record<string, number>> = { interactive: 2, standard: 1 }
const URGENT = 10

const priorityOf = (target: Target): number =>
  (CLASSES[target.service?.class ?? ''] ?? 0) + (target.urgent === undefined ? 0 : URGENT)

/** Divides the devices between what services want and what training has. */
function divide(
  state: AutoscalerState,
  wants: ReadonlyMap<string, number>,
  of: { readonly stepped: Stepped; readonly atMs: number; readonly devices: Devices },
) {
  const { stepped, atMs, devices } = of
  const nowMs = passed(state.shareClockMs, state.shareMs, atMs)
  const targets = [...state.targets.values()].filter(({ scale }) => scale !== undefined)
  const held = targets.reduce((sum, target) => sum + heldBy(target, devices), 0)
  const services = targets
    .filter((target) => target.service !== undefined && devicesEach(target) > 0)
    .map((target) => {
      const now = promisedCount(target)
      const wanted = wants.get(target.jobId) ?? now
      return {
        name: target.jobId,
        devicesPerReplica: devicesEach(target),
        wanted,
        // What runs and is needed is nobody else's.
        floor: Math.min(wanted, now),
        priority: priorityOf(target),
        target: now,
      }
    })
  const training = targets.filter(isTraining).map((target) => {
    const tasks = tasksOf(target)
    const { min = 0, max = 0 } = target.scale ?? {}
    const free = isOurs(target)
    const quota = quotaFor(state, target, devices.byJob)
    const most = quota === undefined ? tasks : Math.floor(quota / target.taskDevices)
    return {
      name: target.jobId,
      devicesPerTask: target.taskDevices,
      minTasks: free ? min : tasks,
      maxTasks: free ? Math.min(max, Math.max(tasks, most)) : tasks,
      tasks,
      changedMs: isSettling(target, atMs) ? nowMs : undefined,
      restartCostMs: 1,
      priority: 0,
    }
  })
  const total = devices.total === undefined ? undefined : devices.free + held
  // While others wait for devices nothing grows into what is free.
  const giveBackAfterMs = someWait(state) ? Number.MAX_SAFE_INTEGER : stepped.giveBackAfterMs
  const input = { nowMs, devices: total, services, training, giveBackAfterMs }
  return { nowMs, total, ...shareDevices(input, state.share) }
}

/** The decision of a share for a training job. */
function trainingWish(
  target: Target,
  grant: { readonly count: number; readonly notes: readonly Note[] },
  total: number | undefined,
): Wish {
  const tasks = tasksOf(target)
  const model = total === undefined ? {} : { devices: total }
  const base = { notes: grant.notes, rejected: [], inputs: [], model }
  const decision: Decision = { ...base, wanted: grant.count }
  const { jobId } = target
  const asked = target.scale?.wanted ?? tasks
  // What was asked for and found no place is asked for again, by way of what there is.
  const wanted = grant.count === tasks ? asked : grant.count === asked ? tasks : grant.count
  return { jobId, wanted, policyWanted: tasks, policy: 'share', decision }
}

/** Looks at everything once. */
export function look(state: AutoscalerState, stepped: Stepped, atMs: number): Outlook {
  const devices = devicesNow(state)
  const of = { stepped, atMs, devices }
  const canLeave = leavable(state, atMs)
  const wants = new Map<string, number>()
  const decided = new Map<string, Decision>()
  const services: ServiceStep[] = []
  for (const row of stepped.rows) {
    const target = state.targets.get(row.jobId)
    if (target === undefined) continue
    const step = stepService(state, target, { row, ...of, leavable: canLeave })
    if (step === undefined) continue
    services.push(step)
    const decision = followed(target, step, row)
    decided.set(row.jobId, decision)
    // What cannot be carried out now neither takes nor leaves devices.
    if (whyBlocked(target, atMs) === undefined) wants.set(row.jobId, decision.wanted)
  }
  const { nowMs, total, state: share, decision: shared } = divide(state, wants, of)
  const grants = new Map(shared.services.map((grant) => [grant.name, grant]))
  const wishes = services.map(({ jobId, run }): Wish => {
    const target = state.targets.get(jobId)!
    const decision = decided.get(jobId)!
    const grant = isOurs(target) ? grants.get(jobId) : undefined
    const now = target.scale?.wanted ?? 0
    const least = Math.min(decision.wanted, now)
    const wanted = Math.max(least, Math.min(decision.wanted, grant?.count ?? decision.wanted))
    const notes = [...decision.notes, ...(grant?.notes ?? [])]
    const merged = { ...decision, notes }
    return { jobId, wanted, policyWanted: decision.wanted, policy: run.policy, decision: merged }
  })
  for (const grant of shared.training) {
    const target = state.targets.get(grant.name)!
    if (!isOurs(target) || isSettling(target, atMs) || tasksOf(target) === 0) continue
    wishes.push(trainingWish(target, grant, total))
  }
  return { services, share, shareClockMs: nowMs, wishes: withinQueues(state, wishes, devices) }
}

/**
 * Each wish is within the maximum of its queue for itself; here all of a step together are. What
 * comes first gets what there is; what is given up is there for the next step.
 */
function withinQueues(
  state: AutoscalerState,
  wishes: readonly Wish[],
  devices: Devices,
): readonly Wish[] {
  const rooms = new Map<string, number>()
  for (const [queue, most] of state.queues) {
    if (most === 0) continue
    let room = most
    for (const target of state.targets.values()) {
      if (target.queue !== queue) continue
      const held = devices.byJob.get(target.jobId) ?? 0
      room -= Math.max(held, promisedCount(target) * devicesEach(target))
    }
    const targets = [...state.targets.keys()]
    const byOthers = new Map([...devices.byJob].filter(([jobId]) => !targets.includes(jobId)))
    room -= most - (quotaFor(state, { jobId: '', queue }, byOthers) ?? most)
    rooms.set(queue, room)
  }
  return wishes.map((wish) => {
    const target = state.targets.get(wish.jobId)!
    const room = rooms.get(target.queue)
    const each = devicesEach(target)
    const now = promisedCount(target)
    const more = wish.wanted - now
    if (wish.wanted === target.scale?.wanted || !isOurs(target)) return wish
    if (room === undefined || each === 0 || more <= 0) return wish
    const given = Math.min(more, Math.max(0, Math.floor(room / each)))
    rooms.set(target.queue, room - given * each)
    if (given === more) return wish
    const wanted = now + given
    const note = { code: 'AT_QUOTA', numbers: { need: wish.wanted, limit: wanted } }
    const notes = [...wish.decision.notes.filter(({ code }) => code !== 'AT_QUOTA'), note]
    return { ...wish, wanted, decision: { ...wish.decision, notes } }
  })
}
