import type { Limits } from '../observation.ts'
import { mostReplicas } from '../policy.ts'
import { quickBucketOf, type Trial } from './backtest.ts'
import { chooseRule } from './choose.ts'
import type { FullConfig } from './config.ts'
import { BUCKETS, type Curve, fade, highestSeen, loadOf, missShares, SAFE_BUCKET } from './curve.ts'
import { type Estimates, estimate, seasonOf } from './demand.ts'
import type { PredictiveState } from './state.ts'

/** Start-up that is reckoned with: so many of a hundred are not longer. */
const STARTUP_QUANTILE_PCT = 90
/** What is known fades to a half in about 20 minutes of retuning every 60 s. */
const KEEP_PPM = 966_000
/** Start-ups that a history has to hold. */
const STARTUPS_IN_HISTORY = 3
/** Bounds of the part of a budget of misses that rules may plan with, in percent. */
const MARGIN_MIN_PCT = 10
const MARGIN_MAX_PCT = 70
/** Requests that have to have ended at a load before it proves that an objective is unreachable. */
const PROOF = 30
/** Loads are that far apart when they are compared: more than a factor of 1.4. */
const PROOF_BUCKETS = 5
/** Steps of the history that only warm the estimates up. */
const WARM_STEPS = 15

/** Start-up that is reckoned with, in milliseconds. */
export function startupOf(state: PredictiveState, config: FullConfig): number {
  const sorted = [...state.startupsMs].sort((a, b) => a - b)
  const index = Math.ceil((sorted.length * STARTUP_QUANTILE_PCT) / 100) - 1
  const measured = sorted[index]
  if (measured === undefined) return config.startupMs
  // Of few, the longest may be yet to come.
  return sorted.length < 5 ? Math.max(measured, config.startupMs) : measured
}

/** History that rules may be chosen by: of less than three start-ups it proves nothing. */
export function isHistoryLong(state: PredictiveState, config: FullConfig): boolean {
  const least = Math.max(config.minHistoryMs, STARTUPS_IN_HISTORY * startupOf(state, config))
  return state.history.length * config.stepMs >= Math.min(least, config.historyMs)
}

export function startupStepsOf(state: PredictiveState, config: FullConfig): number {
  return Math.max(1, Math.ceil(startupOf(state, config) / config.stepMs))
}

/** Estimates of the history as they are now. */
export function estimatesOf(state: PredictiveState, config: FullConfig): Estimates {
  const { seasonSteps } = state
  const steps = startupStepsOf(state, config)
  return estimate(state.history, config.stepMs, { steps, seasonSteps })
}

/**
 * Whether less load does not help a clause: at two loads well apart that were both seen, the lower
 * one no more than the safe load, much the same share missed it, and more than is allowed.
 */
export function isUnreachable(curve: Curve, clause: number, allowed: number): boolean {
  const missed = curve.missed[clause]!
  let low = -1
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const finished = curve.finished[bucket]!
    if (finished < PROOF * 1_000) continue
    const share = missed[bucket]! / finished
    if (low < 0) {
      if (share <= allowed || bucket > SAFE_BUCKET) return false
      low = bucket
      continue
    }
    const lowShare = missed[low]! / curve.finished[low]!
    if (bucket - low >= PROOF_BUCKETS && lowShare >= 0.8 * share) return true
  }
  return false
}

function marginsOf(state: PredictiveState, config: FullConfig): readonly number[] {
  const { finished, missed } = state.realized
  return state.marginPct.map((margin, clause) => {
    if (finished < 100_000) return margin
    const allowed = config.allowedMissPpm[clause]! / 1_000_000
    const used = missed[clause]! / finished / Math.max(1e-9, allowed)
    const next = used > 0.8 ? margin - 5 : used < 0.5 ? margin + 5 : margin
    return Math.min(MARGIN_MAX_PCT, Math.max(MARGIN_MIN_PCT, next))
  })
}

/** Chooses the rule again when it is time and enough is known. */
export function tune(
  state: PredictiveState,
  limits: Limits,
  nowMs: number,
  config: FullConfig,
): PredictiveState {
  if (nowMs - state.tunedMs < config.retuneMs) return state
  const tuned = { ...state, tunedMs: nowMs }
  if (!isHistoryLong(state, config)) return tuned
  const marginPct = marginsOf(state, config)
  const allowedShares = config.allowedMissPpm.map((ppm) => ppm / 1_000_000)
  const unreachable = allowedShares.flatMap((allowed, clause) =>
    isUnreachable(state.curve, clause, allowed) ? [clause] : [],
  )
  const estimates = estimatesOf(state, config)
  const clauses = allowedShares.map((_, clause) => clause)
  const reachable = clauses.filter((clause) => !unreachable.includes(clause))
  const trial: Trial = {
    history: state.history,
    estimates,
    stepMs: config.stepMs,
    from: Math.min(WARM_STEPS, state.history.length - 1),
    startupSteps: startupStepsOf(state, config),
    safeWorkPerS: config.safeWorkPerS,
    fullShare: loadOf(highestSeen(state.curve)) * 1.25,
    missShares: reachable.map((clause) => missShares(state.curve, clause)),
    least: Math.max(limits.floor, 1),
    most: Math.max(limits.floor, 1, mostReplicas(limits, limits.ceiling)),
  }
  const allowed = reachable.map((clause) => (allowedShares[clause]! * marginPct[clause]!) / 100)
  const choice = chooseRule(trial, allowed, state.rule)
  return {
    ...tuned,
    marginPct,
    unreachable,
    choice,
    rule: choice.chosen.rule,
    curve: fade(state.curve, KEEP_PPM),
    realized: {
      finished: Math.floor((state.realized.finished * KEEP_PPM) / 1_000_000),
      missed: state.realized.missed.map((sum) => Math.floor((sum * KEEP_PPM) / 1_000_000)),
    },
    seasonSteps: seasonOf(estimates.felt, config.stepMs),
  }
}

/** Share of misses that a load predicts, in millionths; for explanations. */
export function missPpm(state: PredictiveState, clause: number): number {
  const bucket = quickBucketOf(state.loadMilli / 1_000)
  return Math.round(missShares(state.curve, clause)[bucket]! * 1_000_000)
}
