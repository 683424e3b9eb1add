import { type Accepted, accept, type DecideContext } from '@serverless-ai/kernel'
import { type Capacity, capacityFor, fleetReason } from './capacity.ts'
import type { SchedulerEvent } from './messages.ts'
import { placedEvent } from './placed-event.ts'
import { fittingPlan, giveBack, type Plan } from './placement.ts'
import { dependencyReason, explainWait, sameReason, waitsForOlder } from './reason.ts'
import { tasksInQuota } from './requests.ts'
import type { Job, QueueState, SchedulerState } from './state.ts'
import type { GangSpec, Reason, Resources } from './types.ts'
import { leastGang, plus, shapeKey, times, withTasks } from './types.ts'
import { goesBefore, type JobClass } from './waiting.ts'

/** Gangs and ranks placed by one round, so that a commit stays small; the rest follows at once. */
const ROUND_GANGS_MAX = 1_000
const ROUND_RANKS_MAX = 16_384
/**
 * Waits whose numbers alone are brought up to date in one round; changes of a code are never left
 * out.
 */
const NUMBERS_MAX = 64
/** Key of the timer that continues a round that was cut short. */
export const ROUND_TIMER = 'round'

/** A queue during a round: what the trial has given it so far. */
type Entry = {
  readonly queue: QueueState
  used: Resources
  share: number
  readonly recovering: Job[]
  readonly classes: { readonly waiting: JobClass<Job>; placed: number; blocked: boolean }[]
  candidate: Candidate | undefined
}

type Candidate = {
  readonly job: Job
  readonly slot: Entry['classes'][number] | undefined
}

/**
 * Places what can be placed and says why the rest waits. Queues by priority, then by least weighted
 * share; inside a queue recovering gangs first, then priority, then order of submission. A job that
 * does not fit is skipped, not waited for. The fleet is used as a scratch pad and is afterwards
 * exactly what it was: the events of the round are what changes it.
 */
export function placementRound(
  state: SchedulerState,
  context: DecideContext,
): Accepted<SchedulerEvent> | undefined {
  if (state.memo.settledAt === state.memo.changes) return undefined
  const { gains, version } = state.fleet
  const round = new Round(state, context.atMs)
  try {
    round.place()
    round.explain()
  } finally {
    round.undo()
    state.fleet.gains = gains
    state.fleet.version = version
  }
  const { events, cut } = round
  const { memo } = state
  const learn = () => {
    round.learn()
    if (!cut) memo.settledAt = memo.changes
  }
  const last = events.at(-1)
  if (last === undefined) {
    learn()
    return undefined
  }
  memo.pending = { last, learn }
  return accept(events, cut ? { timers: [{ key: ROUND_TIMER, dueMs: context.atMs }] } : {})
}

class Round {
  readonly events: SchedulerEvent[] = []
  /** True when the maximum of a round was reached. */
  cut = false
  readonly #state: SchedulerState
  readonly #atMs: number
  readonly #gains: number
  readonly #version: number
  readonly #entries: Entry[]
  readonly #plans: { readonly gang: GangSpec; readonly plan: Plan }[] = []
  readonly #placed = new Set<Job>()
  readonly #failed = new Set<string>()
  readonly #learned: (() => void)[] = []
  readonly #capacities = new Map<string, Capacity>()
  #ranks = 0
  #numbers = 0

  constructor(state: SchedulerState, atMs: number) {
    this.#state = state
    this.#atMs = atMs
    this.#gains = state.fleet.gains
    this.#version = state.fleet.version
    this.#entries = []
    for (const queue of state.queues.values()) {
      if (queue.queued + queue.recovering.length > 0) this.#entries.push(this.#enter(queue))
    }
  }

  place(): void {
    for (;;) {
      const entry = this.#next()
      if (entry === undefined) return
      if (this.#plans.length >= ROUND_GANGS_MAX || this.#ranks >= ROUND_RANKS_MAX) {
        this.cut = true
        return
      }
      this.#try(entry, entry.candidate!)
      entry.candidate = this.#candidate(entry)
    }
  }

  /** One primary reason for each that stays; events only for what is new. */
  explain(): void {
    for (const entry of this.#entries) {
      for (const job of entry.queue.recovering) this.#explainJob(entry, job)
      for (const { waiting, placed, blocked } of entry.classes) {
        if (blocked && placed < waiting.size) this.#explainClass(entry, waiting)
      }
    }
  }

  /** Remembers what is true once the round's events are folded. */
  learn(): void {
    for (const one of this.#learned) one()
  }

  undo(): void {
    for (const { gang, plan } of this.#plans.reverse()) giveBack(this.#state.fleet, gang, plan)
  }

  #enter(queue: QueueState): Entry {
    const classes = [...queue.classes.values()].map((waiting) => {
      const { fleet, queue: tried } = waiting.tried
      const blocked = fleet === this.#gains && tried === queue.gains
      return { waiting, placed: 0, blocked }
    })
    const recovering = queue.recovering.filter((job) => this.#mayGo(job))
    const entry: Entry = {
      queue,
      used: queue.used,
      share: 0,
      recovering,
      classes,
      candidate: undefined,
    }
    entry.share = this.#share(entry)
    entry.candidate = this.#candidate(entry)
    return entry
  }

  #mayGo(job: Job): boolean {
    if (job.phase.at !== 'Recovering' || job.phase.notBeforeMs > 0) return false
    return !waitsForOlder(this.#state, job)
  }

  /** Dominant share of the fleet over the weight, in billionths. */
  #share(entry: Entry): number {
    const { totals } = this.#state.fleet
    let share = 0
    for (const dimension of ['devices', 'cpuMillis', 'memoryMib'] as const) {
      if (totals[dimension] === 0) continue
      share = Math.max(share, (entry.used[dimension] * 1e9) / totals[dimension])
    }
    return Math.floor(share / entry.queue.spec.weight)
  }

  #next(): Entry | undefined {
    let best: Entry | undefined
    for (const entry of this.#entries) {
      if (entry.candidate === undefined) continue
      if (best === undefined || goesFirst(entry, best)) best = entry
    }
    return best
  }

  #candidate(entry: Entry): Candidate | undefined {
    const recovering = entry.recovering[0]
    if (recovering !== undefined) return { job: recovering, slot: undefined }
    let best: Candidate | undefined
    for (const slot of entry.classes) {
      if (slot.blocked) continue
      const job = slot.waiting.at(slot.placed)
      if (job !== undefined && (best === undefined || goesBefore(job, best.job))) {
        best = { job, slot }
      }
    }
    return best
  }

  #try(entry: Entry, { job, slot }: Candidate): void {
    const { gang } = job.spec
    const plan = this.#plan(entry, job)
    if (slot === undefined) entry.recovering.shift()
    if (plan === undefined) {
      if (slot === undefined) return
      slot.blocked = true
      const tried = { fleet: this.#gains, queue: entry.queue.gains }
      this.#learned.push(() => {
        slot.waiting.tried = tried
      })
      return
    }
    if (slot !== undefined) slot.placed++
    const tasks = plan.tasksOnNode.reduce((sum, count) => sum + count, 0)
    this.#placed.add(job)
    this.#plans.push({ gang, plan })
    this.#ranks += tasks
    entry.used = plus(entry.used, times(gang.perTask, tasks))
    entry.share = this.#share(entry)
    this.events.push(placedEvent(this.#state, job, plan))
  }

  #plan(entry: Entry, job: Job): Plan | undefined {
    const { gang } = job.spec
    const room = tasksInQuota(entry.queue.spec, gang.perTask, entry.used)
    const least = gang.elastic?.minTasks ?? gang.tasks
    if (room < least) return undefined
    const key = shapeKey(gang)
    if (this.#failed.has(key)) return undefined
    const avoid = new Set<number>()
    for (const id of job.avoidNodes) {
      const node = this.#state.fleet.indexOf(id)
      if (node !== undefined) avoid.add(node)
    }
    const most = withTasks(gang, Math.min(gang.tasks, room))
    const plan = fittingPlan(this.#state.fleet, most, { least, avoid })
    if (plan === undefined) this.#failed.add(key)
    return plan
  }

  #explainClass(entry: Entry, waiting: JobClass<Job>): void {
    const now = { fleet: this.#version, queue: entry.queue.gains }
    const { explained } = waiting
    const known = explained.fleet === now.fleet && explained.queue === now.queue
    if (known && this.#plans.length === 0) return
    const reason = this.#reason(entry, leastGang(waiting.gang))
    const codeChanged = reason.code !== waiting.reason.code
    const news = this.#news(waiting.reason, reason)
    // The versions of a round that places something are gone after it: the next one looks again.
    if (this.#plans.length === 0 && news !== 'later') {
      this.#learned.push(() => {
        waiting.explained = now
      })
    }
    if (news !== 'now') return
    const event = { shape: waiting.key, queue: entry.queue.spec.name, reason, codeChanged }
    this.events.push({ type: 'ClassReasonChanged', ...event })
  }

  #explainJob(entry: Entry, job: Job): void {
    if (job.phase.at !== 'Recovering' || job.phase.notBeforeMs > this.#atMs) return
    if (job.phase.notBeforeMs > 0 || this.#placed.has(job)) return
    if (entry.recovering.includes(job)) return
    const reason =
      dependencyReason(this.#state, job) ?? this.#reason(entry, leastGang(job.spec.gang))
    if (this.#news(job.phase.reason, reason) !== 'now') return
    const which = job.gang === undefined ? {} : { gang: job.gang }
    this.events.push({ type: 'JobReasonChanged', jobId: job.spec.jobId, ...which, reason })
  }

  #news(before: Reason, after: Reason): 'none' | 'now' | 'later' {
    if (before.code !== after.code) return 'now'
    if (sameReason(before, after)) return 'none'
    this.#numbers++
    return this.#numbers <= NUMBERS_MAX ? 'now' : 'later'
  }

  #reason(entry: Entry, gang: GangSpec): Reason {
    const key = shapeKey(gang)
    let capacity = this.#capacities.get(key)
    if (capacity === undefined) {
      capacity = capacityFor(this.#state.fleet, gang)
      this.#capacities.set(key, capacity)
    }
    const reason = explainWait(entry.queue.spec, { gang, used: entry.used, capacity })
    return reason ?? fleetReason(capacity, gang)
  }
}

function goesFirst(a: Entry, b: Entry): boolean {
  const { priority } = a.queue.spec
  if (priority !== b.queue.spec.priority) return priority > b.queue.spec.priority
  if (a.share !== b.share) return a.share < b.share
  return goesBefore(a.candidate!.job, b.candidate!.job)
}
