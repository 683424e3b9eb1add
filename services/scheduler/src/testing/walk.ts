import type { DecideContext, Decision } from '@serverless-ai/kernel'
import { commandOfTimer } from '../app/definition.ts'
import { schedulerDecider as decider } from '../core/decider.ts'
import { fromJson, toJson } from '../core/json.ts'
import type { SchedulerCommand, SchedulerEvent } from '../core/messages.ts'
import { ROUND_TIMER } from '../core/round.ts'
import { isFinished, isPlaced, type Job, type SchedulerState, unitKey } from '../core/state.ts'
import type { JobSpec } from '../core/types.ts'
import { Actions } from './actions.ts'
import { check, Ledger } from './ledger.ts'
import { Dice } from './random.ts'

/** Options of {@link runSchedulerWalk}. */
export type WalkOptions = {
  readonly seed: number
  /** Batches of one to three commands. */
  readonly steps: number
  readonly onProgress?: (done: number) => void
}

/** What a walk did, to see that it did not pass by the interesting parts. */
export type WalkResult = {
  readonly steps: number
  readonly events: Readonly<Record<string, number>>
  readonly refusals: Readonly<Record<string, number>>
  readonly reasons: Readonly<Record<string, number>>
}

/** Steps between the expensive comparisons. */
const COMPARE_EVERY = 250

/**
 * Walks at random through the scheduler's core beside an independent ledger: no over-commit, no
 * partial gang, quota held, one reason for each waiting job and none for one that could start,
 * exclusive work never twice, ports unique per node, state = fold of the events, JSON round trip,
 * `decide` and rounds leave the state alone. Throws with seed and step.
 */
export function runSchedulerWalk(options: WalkOptions): WalkResult {
  const walk = new Walk(options.seed)
  for (let step = 1; step <= options.steps; step++) {
    try {
      walk.step()
      if (step % COMPARE_EVERY === 0) walk.compare()
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      throw new Error(`scheduler walk failed: seed ${options.seed}, step ${step}: ${what}`, {
        cause: error,
      })
    }
    if (step % 10_000 === 0) options.onProgress?.(step)
  }
  walk.compare()
  return { steps: options.steps, ...walk.counts }
}

class Walk {
  readonly counts = {
    events: {} as Record<string, number>,
    refusals: {} as Record<string, number>,
    reasons: {} as Record<string, number>,
  }
  readonly #dice: Dice
  readonly #ledger = new Ledger()
  readonly #actions: Actions
  #state = decider.initial()
  /** Sees events only: no decision, no round. */
  #folded = decider.initial()
  #atMs = 1_000_000
  readonly #timers = new Map<string, number>()

  constructor(seed: number) {
    this.#dice = new Dice(seed)
    this.#actions = new Actions(this.#dice, this.#ledger)
  }

  step(): void {
    this.#atMs += this.#dice.below(500)
    const context: DecideContext = { atMs: this.#atMs, nonce: '0'.repeat(32), featureLevel: 2 }
    for (let i = 0; i <= this.#dice.below(3); i++) this.#command(this.#choose(), context)
    if (this.#dice.chance(5)) {
      // A round may be dropped: it is asked for again beside the next commands.
      decider.afterBatch?.(this.#state, context)
      this.#command(this.#choose(), context)
    }
    let more = true
    for (let rounds = 0; ; rounds++) {
      check(rounds < 10, 'rounds do not end')
      const round = decider.afterBatch?.(this.#state, context)
      if (round === undefined) break
      check(more, 'a settled round finds more to do')
      more = round.timers?.some(({ key }) => key === ROUND_TIMER) ?? false
      this.#apply(round)
    }
    this.#checkWaiting()
  }

  /** State = fold; JSON keeps everything; a round on a fresh copy finds nothing. */
  compare(): void {
    const json = JSON.stringify(toJson(this.#state))
    check(JSON.stringify(toJson(this.#folded)) === json, 'incremental state ≠ folded state')
    const { holdings } = this.#state
    check(holdings.size === this.#ledger.grants.length, 'what is held and what is known differ')
    const copy = fromJson(JSON.parse(json))
    check(JSON.stringify(toJson(copy)) === json, 'JSON round trip changes the state')
    const again = decider.afterBatch?.(copy, { atMs: this.#atMs, nonce: '' })
    const what = () => `a fresh copy decides: ${JSON.stringify(again?.events).slice(0, 400)}`
    check(again === undefined || again.events.every(numbersOnly), again ? what() : '')
    check(JSON.stringify(toJson(this.#state)) === json, 'a round changed the state')
    // From here on the copies walk: what they lack of memory must not show.
    if (again === undefined && this.#dice.chance(30)) this.#state = copy
  }

  #choose(): SchedulerCommand {
    const due = [...this.#timers].find(([, dueMs]) => dueMs <= this.#atMs)
    if (due === undefined) return this.#actions.next(this.#atMs)
    this.#timers.delete(due[0])
    return commandOfTimer(due[0])
  }

  #command(command: SchedulerCommand, context: DecideContext): void {
    const before = this.#dice.below(200) === 0 ? JSON.stringify(toJson(this.#state)) : undefined
    const decision = decider.decide(command, this.#state, context)
    if (before !== undefined) {
      check(JSON.stringify(toJson(this.#state)) === before, `${command.type} changed the state`)
    }
    if (command.type === 'EnqueueJob') this.#checkVerdict(command.job, decision)
    if (decision.accepted) this.#apply(decision)
    else count(this.counts.refusals, decision.refusal.reason)
  }

  /** Refused as never fitting, or taken: the ledger must see it the same way. */
  #checkVerdict(job: JobSpec, decision: Decision<SchedulerEvent>): void {
    const anyReady = [...this.#ledger.nodes.values()].some(({ state }) => state === 'Ready')
    const never = anyReady && !this.#ledger.couldEverFit(job)
    if (!decision.accepted) {
      const saysNever = decision.refusal.reason === 'NO_MATCHING_NODE'
      check(!saysNever || never, `${job.jobId} is refused and could fit some day`)
    } else if (decision.events.length > 0 && !job.waitForCapacity) {
      check(!never, `${job.jobId} is taken and can never fit`)
    }
  }

  #apply(accepted: {
    readonly events: readonly SchedulerEvent[]
    readonly timers?: readonly { key: string; dueMs: number }[]
    readonly cancelTimers?: readonly string[]
  }): void {
    for (const event of accepted.events) {
      count(this.counts.events, event.type)
      this.#ledger.apply(event, this.#atMs)
      this.#state = decider.evolve(this.#state, event, this.#atMs)
      this.#folded = decider.evolve(this.#folded, JSON.parse(JSON.stringify(event)), this.#atMs)
    }
    for (const timer of accepted.timers ?? []) {
      if (timer.key !== ROUND_TIMER) this.#timers.set(timer.key, timer.dueMs)
    }
    for (const key of accepted.cancelTimers ?? []) this.#timers.delete(key)
  }

  /** Exactly one reason for each that waits, and it waits for a cause. */
  #checkWaiting(): void {
    this.#ledger.checkScales()
    const replicas = [...this.#state.services.values()].flatMap((one) => [...one.replicas.values()])
    for (const job of [...this.#state.jobs.values(), ...replicas]) {
      if (isFinished(job.phase) || isPlaced(job.phase)) continue
      const jobId = unitKey(job)
      const code = reasonCode(this.#state, job)
      count(this.counts.reasons, code)
      check(code !== 'NOT_YET_EVALUATED', `${jobId} waits without a reason`)
      const backingOff = job.phase.at === 'Recovering' && job.phase.notBeforeMs > 0
      check((code === 'BACKOFF') === backingOff, `${jobId} says ${code}`)
      if (!backingOff)
        check(
          !this.#ledger.couldPlace(this.#ledger.jobs.get(jobId)!),
          `${jobId} could start: ${code}`,
        )
    }
  }
}

function numbersOnly(event: SchedulerEvent): boolean {
  return (
    event.type === 'JobReasonChanged' || (event.type === 'ClassReasonChanged' && !event.codeChanged)
  )
}

function reasonCode(state: SchedulerState, job: Job): string {
  if (job.phase.at === 'Recovering') return job.phase.reason.code
  const queue = state.queues.get(job.spec.queue)!
  for (const waiting of queue.classes.values()) {
    if (waiting.at(waiting.before(job)) === job) return waiting.reason.code
  }
  return 'NOT_IN_A_CLASS'
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
