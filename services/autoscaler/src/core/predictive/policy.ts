import type { Observation } from '../observation.ts'
import {
  type Decision,
  inputsOf,
  type Note,
  type Rejected,
  type ScalingPolicy,
  withinLimits,
} from '../policy.ts'
import { needOf } from './backtest.ts'
import type { Tried } from './choose.ts'
import { type FullConfig, type PredictiveConfig, withDefaults } from './config.ts'
import type { Estimates } from './demand.ts'
import { type Believed, believe, ingest } from './ingest.ts'
import { ESTIMATORS, follow, RULES } from './rules.ts'
import { initialState, type PredictiveState } from './state.ts'
import { estimatesOf, isHistoryLong, startupOf, startupStepsOf, tune } from './tune.ts'

/** What is held at the gate is to be served within so long, or a start-up where that is longer. */
const DRAIN_MS = 10_000

/** What is needed now, before limits. */
interface Need {
  readonly replicas: number
  /** Demand that changes are judged by, in work a second: arrivals alone. */
  readonly demand: number
  readonly expected: number
  readonly peak: number
  readonly heldExtra: number
}

/** Highest short-term demand since it came up from zero. */
function peakOf(state: PredictiveState, { peak, felt }: Estimates): number {
  const last = felt.length - 1
  const first = state.wokeAt === undefined ? 0 : last - (state.step - state.wokeAt)
  return first <= 0 ? peak[last]! : felt.slice(first).reduce((most, one) => Math.max(most, one), 0)
}

function needNow(
  input: Observation,
  state: PredictiveState,
  believed: Believed,
  config: FullConfig,
): Need {
  const rule = RULES[state.rule]!
  const estimates = estimatesOf(state, config)
  const last = state.history.length - 1
  let expected = estimates.byEstimator[rule.estimator]![last]!
  const now = Math.max(believed.heldRequests, believed.requests ?? 0, believed.inFlight ?? 0)
  let foretold = 0
  const told = believed.reasons['expected'] === undefined ? input.expected?.value : undefined
  if (told !== undefined && told.horizonMs >= startupOf(state, config)) {
    const { perRequest, perInputToken, perOutputToken } = config.work
    const output = (perOutputToken * Math.max(0, state.outputMilli)) / 1_000
    const perS = told.requestsPerS * (perRequest + output) + told.inputTokensPerS * perInputToken
    expected = Math.max(expected, perS)
    foretold = needOf(rule, { expected: perS, peak: 0 }, config.safeWorkPerS)
  }
  const atZero = input.target === 0
  const peak = atZero ? 0 : peakOf(state, estimates)
  const drainMs = Math.max(DRAIN_MS, startupOf(state, config))
  const heldPerS = (believed.heldWork * 1_000) / drainMs
  const base = needOf(rule, { expected, peak }, config.safeWorkPerS)
  const full = needOf(rule, { expected: expected + heldPerS, peak }, config.safeWorkPerS)
  const waiting = believed.heldRequests > 0 || (believed.inFlight ?? 0) > 0
  // From zero what is there starts replicas, and what is foretold: not what is remembered.
  const woken = atZero ? Math.min(full, Math.max(now, foretold)) : full
  const replicas = Math.max(woken, waiting ? 1 : 0)
  return {
    replicas: Math.min(replicas, 1_000_000),
    // Without what is held: a queue under constant load is no change of the load.
    demand: Math.round(estimates.byEstimator[1]![last]!),
    expected: Math.round(expected),
    peak: Math.round(peak),
    heldExtra: Math.max(0, replicas - base),
  }
}

/** What limits took from it. */
function limitNotes(input: Observation, need: number): readonly Note[] {
  const { floor, ceiling, budget, quota } = input.limits
  const notes: Note[] = []
  const over = (code: string, limit: number | undefined) => {
    if (limit !== undefined && need > limit) notes.push({ code, numbers: { need, limit } })
  }
  over('AT_CEILING', ceiling)
  over('AT_BUDGET', budget)
  over('AT_QUOTA', quota)
  const unknown = budget === undefined || quota === undefined
  if (unknown && need > input.target) notes.push({ code: 'BUDGET_UNKNOWN', numbers: { need } })
  if (need < floor) notes.push({ code: 'AT_FLOOR', numbers: { need, limit: floor } })
  return notes
}

/** Other rules that were tried, as replicas for the demand of now. */
function rejectedOf(state: PredictiveState, need: Need, config: FullConfig): readonly Rejected[] {
  const { choice } = state
  if (choice === null) return []
  const option = (tried: Tried, code: string): Rejected => ({
    wanted: needOf(RULES[tried.rule]!, need, config.safeWorkPerS),
    code,
    numbers: {
      meanReplicasMilli: tried.meanReplicasMilli,
      clause: tried.worstClause,
      missPpm: tried.worstMissPpm,
      allowedPpm: tried.allowedPpm,
    },
  })
  const { cheaper, dearer } = choice
  return [
    ...(cheaper === null ? [] : [option(cheaper, 'WOULD_MISS_OBJECTIVE')]),
    ...(dearer === null ? [] : [option(dearer, 'COSTS_MORE')]),
  ]
}

function modelOf(state: PredictiveState, need: Need, config: FullConfig) {
  const rule = RULES[state.rule]!
  const { halfLifeMs } = ESTIMATORS[rule.estimator]!
  return {
    demandPerS: need.demand,
    expectedPerS: need.expected,
    peakPerS: need.peak,
    halfLifeMs,
    capacityPerS: Math.round((config.safeWorkPerS * rule.loadPct) / 100),
    keepMs: rule.keepMs,
    peakPct: rule.peakPct,
    lookAheadMs: startupOf(state, config),
    seasonMs: state.seasonSteps * config.stepMs,
    loadMilli: state.loadMilli,
    need: need.replicas,
    heldExtra: need.heldExtra,
    plannedMissPpm: state.choice?.chosen.worstMissPpm ?? -1,
    allowedMissPpm: state.choice?.chosen.allowedPpm ?? -1,
  }
}

function notesOf(
  input: Observation,
  state: PredictiveState,
  believed: Believed,
  need: Need,
): readonly Note[] {
  const notes = [...limitNotes(input, need.replicas)]
  for (const clause of state.unreachable) {
    notes.push({ code: 'OBJECTIVE_UNREACHABLE', numbers: { clause } })
  }
  if (believed.reasons['held'] === 'STUCK') {
    const requests = input.held?.value.requests ?? 0
    notes.push({ code: 'HELD_GAUGE_STUCK', numbers: { requests } })
  }
  return notes
}

/** Nothing is known of demand: the last safe value stays, within the limits. */
function holdUnknown(input: Observation, state: PredictiveState, believed: Believed) {
  const { limits, target } = input
  const wanted = withinLimits(target, limits, target)
  const hold: Note = { code: 'METRICS_UNKNOWN', numbers: { wanted } }
  const inputs = inputsOf(input, believed.reasons)
  const decision: Decision = { wanted, hold, notes: [], rejected: [], inputs, model: {} }
  return { state: { ...state, course: { ...state.course, wanted } }, decision }
}

/** Whether nothing came, is held or runs for so long that none is needed. */
function isIdle(input: Observation, state: PredictiveState, config: FullConfig): boolean {
  return input.limits.floor === 0 && input.nowMs - state.busyMs >= config.idleMs
}

/** What is needed now, followed on the course; with why nothing changed where something would. */
function decideNeed(
  input: Observation,
  state: PredictiveState,
  need: Need,
  config: FullConfig,
): { readonly state: PredictiveState; readonly hold: Note | undefined } {
  const { limits, target } = input
  // Somebody else may have set another number: what is, is what it changes from.
  const course = { ...state.course, wanted: target }
  const bounded = withinLimits(Math.max(1, need.replicas), limits, target)
  const at = state.step
  const known = isHistoryLong(state, config)
  const hold = (code: string): Note => ({ code, numbers: { need: need.replicas, wanted: target } })
  if (isIdle(input, state, config)) {
    // Also from zero: what is remembered of demand starts nothing.
    const changedAt = target > 0 ? at : course.changedAt
    const next = { ...course, wanted: 0, changedAt, changedFor: 0, lessSince: -1, mostSince: 0 }
    return { state: { ...state, course: next }, hold: undefined }
  }
  if (target === 0 && need.replicas === 0) {
    return { state: { ...state, course }, hold: undefined }
  }
  if (!known && bounded < target) {
    return { state: { ...state, course }, hold: hold('HISTORY_SHORT') }
  }
  const keepSteps = Math.round(RULES[state.rule]!.keepMs / config.stepMs)
  const startupSteps = startupStepsOf(state, config)
  const next =
    target === 0
      ? { ...course, wanted: bounded, changedAt: at, changedFor: need.demand }
      : follow(course, { at, need: bounded, demand: need.demand, keepSteps, startupSteps })
  const wokeAt = target === 0 ? { wokeAt: at } : {}
  const stays = next.wanted === target && bounded !== target
  const why = bounded > target ? 'SETTLING' : 'NOT_LOWER_LONG_ENOUGH'
  return { state: { ...state, ...wokeAt, course: next }, hold: stays ? hold(why) : undefined }
}

/**
 * Ours: demand is forecast from arrivals (never from completions), loads that a replica bears
 * within the objective are learned, and of a fixed family of rules the cheapest is followed that
 * would have kept the objective on the recent past, start-up times as they were measured.
 */
export function predictivePolicy(settings: PredictiveConfig): ScalingPolicy<PredictiveState> {
  const config = withDefaults(settings)
  return {
    name: 'predictive',
    initial: () => initialState(config.allowedMissPpm.length),
    step(input, before) {
      const believed = believe(input, before, config)
      const seen = ingest(input, before, believed, config)
      const held = believed.heldRequests > 0
      if (believed.work === undefined && !held) return holdUnknown(input, seen, believed)
      const tuned = tune(seen, input.limits, input.nowMs, config)
      const need = needNow(input, tuned, believed, config)
      const { state: followed, hold } = decideNeed(input, tuned, need, config)
      const wanted = withinLimits(followed.course.wanted, input.limits, input.target)
      const state = { ...followed, course: { ...followed.course, wanted } }
      const decision: Decision = {
        wanted,
        ...(hold === undefined ? {} : { hold }),
        notes: notesOf(input, state, believed, need),
        rejected: rejectedOf(state, need, config),
        inputs: inputsOf(input, believed.reasons),
        model: modelOf(state, need, config),
      }
      return { state, decision }
    },
  }
}
