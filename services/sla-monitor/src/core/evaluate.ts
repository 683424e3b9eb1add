/** Alerts: looked at at the end of intervals, in whole buckets of each rule. */
import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { burnsAt } from './burn.ts'
import { firstActions, withdrawals } from './ladder.ts'
import { EVALUATE_TIMER, type SlaCommand, type SlaEvent, silentTimer } from './messages.ts'
import {
  type Breach,
  type BreachEnd,
  type BurnRule,
  FORGET_MS,
  INTERVAL_MS,
  intervalOf,
  isJobIndicator,
  MINUTE_MS,
  type ObjectiveState,
  QUIET_MS,
  type Ring,
  SETTLE_MS,
  SILENT_MS,
  type SlaState,
  type WindowCounts,
} from './model.ts'
import { sumOf } from './ring.ts'
import { isCertain } from './sources.ts'

/** The first end of an interval that is not looked at yet. */
export function evaluateTimer(atMs: number, stepMs = INTERVAL_MS): TimerRequest {
  const endMs = (Math.floor((atMs - SETTLE_MS) / stepMs) + 1) * stepMs
  return { key: EVALUATE_TIMER, dueMs: endMs + SETTLE_MS }
}

/** Both windows of a rule that end at the end of a bucket. */
export function windowsOf(
  ring: Ring,
  rule: BurnRule,
  endMs: number,
): { readonly long: WindowCounts; readonly short: WindowCounts } {
  const endBucket = Math.floor(endMs / rule.bucketMs)
  const long = sumOf(ring, endBucket, rule.longMs)
  return { long, short: sumOf(ring, endBucket, rule.shortMs) }
}

/** Whether both windows burn at the rate of the rule. */
export function isBurning(
  { objective }: Pick<ObjectiveState, 'objective'>,
  rule: BurnRule,
  { long, short }: { readonly long: WindowCounts; readonly short: WindowCounts },
): boolean {
  return burnsAt(objective, rule, long) && burnsAt(objective, rule, short)
}

/** Why a rule that burns does not alert; undefined = nothing holds it. */
export function heldBy(
  minSample: number,
  rule: BurnRule,
  long: WindowCounts,
): 'FEW_EVENTS' | 'FEW_BAD' | undefined {
  if (long.events < minSample) return 'FEW_EVENTS'
  return long.bad < rule.minBad ? 'FEW_BAD' : undefined
}

/** First count of the minute in which a window begins, as far as it is known. */
function countAt(state: SlaState, fromMs: number): number {
  const minute = Math.floor(fromMs / MINUTE_MS)
  for (let index = state.marks.length - 1; index >= 0; index -= 1) {
    const mark = state.marks[index]
    if (mark !== undefined && mark.minute < minute)
      return state.marks[index + 1]?.count ?? mark.count
  }
  return state.marks[0]?.count ?? 0
}

/** What is decided about one objective. */
class Round {
  readonly #state: SlaState
  readonly #atMs: number
  readonly #endMs: number
  readonly #mayEnd: boolean
  readonly #nonce: string
  readonly events: SlaEvent[] = []
  readonly timers: TimerRequest[] = []
  readonly cancelTimers: string[] = []
  /** Shortest bucket of a rule that has to be looked at again. */
  nextMs = Number.POSITIVE_INFINITY

  constructor(state: SlaState, context: DecideContext, mayEnd: boolean) {
    this.#state = state
    this.#atMs = context.atMs
    this.#endMs = intervalOf(context.atMs - SETTLE_MS)
    this.#mayEnd = mayEnd
    this.#nonce = context.nonce
  }

  look(of: ObjectiveState): void {
    const open = new Set(of.breaches.keys())
    for (const [index, rule] of of.objective.rules.entries()) {
      const ring = of.rings[index]
      // Nothing lasts, and nothing new is in the windows.
      if (ring === undefined || (!open.has(index) && !isRecent(ring, rule, this.#endMs))) continue
      this.#rule(of, { index, rule, ring, open })
      if (open.has(index) || this.#mayBurn(ring, rule)) {
        this.nextMs = Math.min(this.nextMs, rule.bucketMs)
      }
    }
    if (of.breaches.size === 0) return
    const left = withdrawals(of, open)
    this.events.push(...left.events)
    this.cancelTimers.push(...left.cancelTimers)
  }

  #rule(
    of: ObjectiveState,
    on: { index: number; rule: BurnRule; ring: Ring; open: Set<number> },
  ): void {
    const { index, rule, ring, open } = on
    const windows = windowsOf(ring, rule, this.#endMs)
    const burns = isBurning(of, rule, windows)
    const breach = of.breaches.get(index)
    if (breach !== undefined) {
      if (burns || !this.#calmCounts(of)) return
      this.events.push(closed(breach, index, { untilMs: this.#endMs, cause: 'CALM' }))
      open.delete(index)
      return
    }
    if (!burns || heldBy(of.objective.minSample, rule, windows.long) !== undefined) return
    this.#open(of, { index, rule, windows })
    open.add(index)
  }

  /** Whether calm may be believed. */
  #calmCounts({ objective }: ObjectiveState): boolean {
    if (!this.#mayEnd || isJobIndicator(objective.indicator)) return this.#mayEnd
    return isCertain(this.#state.sources.values(), this.#atMs)
  }

  /** Something bad lies in its short window or behind it: it may begin to burn by itself. */
  #mayBurn(ring: Ring, rule: BurnRule): boolean {
    const all = ring.head + 1
    const windowMs = rule.shortMs + Math.max(0, all * rule.bucketMs - this.#endMs)
    return sumOf(ring, all, Math.min(windowMs, rule.longMs)).bad > 0
  }

  #open(
    of: ObjectiveState,
    found: {
      index: number
      rule: BurnRule
      windows: { readonly long: WindowCounts; readonly short: WindowCounts }
    },
  ): void {
    const { index, rule, windows } = found
    const { objectiveId } = of.objective
    const cell = objectiveId.split('-')[1] ?? '0'
    const number = (this.events.length + 0x1000).toString(16).slice(1)
    const breach: Breach = {
      breachId: `b-${cell}-${this.#nonce.slice(0, 9)}${number}`,
      objectiveId,
      rule,
      fromMs: this.#endMs,
      ...windows,
      firstCount: countAt(this.#state, this.#endMs - rule.shortMs),
      lastCount: this.#state.count,
    }
    this.events.push({ type: 'BreachOpened', rule: index, breach })
    const asked = firstActions(of, breach, this.#atMs, this.events)
    this.events.push(...asked.events)
    this.timers.push(...asked.timers)
  }
}

/** True while the newest count of a ring is within the short window of its rule. */
const isRecent = (ring: Ring, rule: BurnRule, endMs: number): boolean =>
  (ring.head + 1) * rule.bucketMs > endMs - rule.shortMs

/** The end of a breach. */
export const closed = (
  breach: Breach,
  rule: number,
  end: { readonly untilMs: number; readonly cause: BreachEnd },
): SlaEvent => ({ type: 'BreachClosed', rule, breach, ...end })

/** Looks at all alerts; asks for the next look while there is anything to see. */
export function evaluate(state: SlaState, context: DecideContext): Decision<SlaEvent> {
  const { atMs } = context
  const quietMs = atMs - state.lastMs
  // After a silence of the log windows are empty because nobody counted: what lasts may go on.
  const isBack = quietMs > QUIET_MS
  const round = new Round(state, context, !isBack)
  for (const of of state.objectives.values()) round.look(of)
  const { events, timers, cancelTimers, nextMs } = round
  const lasts = [...state.objectives.values()].some(({ breaches }) => breaches.size > 0)
  if (isBack && lasts) events.unshift({ type: 'EvaluationResumed', quietMs })
  if (Number.isFinite(nextMs)) {
    timers.push(evaluateTimer(atMs, isBack ? INTERVAL_MS : nextMs))
  }
  return accept(events, { timers, cancelTimers })
}

/** A source was not heard for a while. */
export function checkSource(
  command: Extract<SlaCommand, { type: 'CheckSource' }>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  const { source: name, sure } = command
  const source = state.sources.get(name)
  if (source === undefined) return accept<SlaEvent>([])
  const silentMs = atMs - source.heardMs
  if (silentMs < SILENT_MS) return accept<SlaEvent>([])
  const again = (dueMs: number) => [{ key: silentTimer(name), dueMs }]
  // The process may just have begun to read: it looks twice.
  if (!sure) return accept<SlaEvent>([], { timers: again(atMs + INTERVAL_MS) })
  if (silentMs >= FORGET_MS) return accept<SlaEvent>([{ type: 'SourceForgotten', source: name }])
  const health = source.busy ? 'SILENT' : 'OK'
  const timers = source.busy ? again(source.heardMs + FORGET_MS) : []
  if (source.health === health) return accept<SlaEvent>([], { timers })
  return accept<SlaEvent>([{ type: 'SourceJudged', source: name, health }], { timers })
}
