import { ESTIMATORS, weightOf } from './rules.ts'

/** Work that arrived, by step; -1: not known. */
export type History = readonly number[]

/** Demand by step, in work a second, as each estimator would have told it then. */
export interface Estimates {
  readonly byEstimator: readonly Float64Array[]
  /** Highest short-term demand up to each step. */
  readonly peak: Float64Array
  /** Short-term demand: what replicas felt. */
  readonly felt: Float64Array
}

/** What replicas feel is an average of so long. */
export const FELT_HALF_LIFE_MS = 4_000
/** Trend is told from the change over so long. */
const TREND_HALF_LIFE_MS = 120_000

function smooth(history: History, stepMs: number, halfLifeMs: number): Float64Array {
  const weight = weightOf(halfLifeMs, stepMs)
  const out = new Float64Array(history.length)
  let level = -1
  let seen = 0
  for (let at = 0; at < history.length; at += 1) {
    const work = history[at]!
    if (work >= 0) {
      const rate = (work * 1_000) / stepMs
      // The first values weigh as an average does: no single one is the level.
      seen += 1
      level = level < 0 ? rate : level + Math.max(weight, 1 / seen) * (rate - level)
    }
    out[at] = Math.max(0, level)
  }
  return out
}

/** The level and how it changes, carried on for the look-ahead. */
function trended(level: Float64Array, stepMs: number, aheadSteps: number): Float64Array {
  const weight = weightOf(TREND_HALF_LIFE_MS, stepMs)
  const out = new Float64Array(level.length)
  let trend = 0
  for (let at = 0; at < level.length; at += 1) {
    const change = at === 0 ? 0 : level[at]! - level[at - 1]!
    trend += weight * (change - trend)
    // A smoothed level lags: what it lags behind by is its trend over its own half-life.
    out[at] = Math.max(0, level[at]! + trend * aheadSteps)
  }
  return out
}

/** The most of one season ago, from now until a replica that is started now is ready. */
function seasonal(
  felt: Float64Array,
  level: Float64Array,
  seasonSteps: number,
  aheadSteps: number,
): Float64Array {
  const out = Float64Array.from(level)
  if (seasonSteps === 0) return out
  for (let at = seasonSteps; at < felt.length; at += 1) {
    const from = at - seasonSteps
    const until = Math.min(at, from + aheadSteps + 1)
    for (let past = from; past < until; past += 1) out[at] = Math.max(out[at]!, felt[past]!)
  }
  return out
}

/** All that rules read of a history. */
export function estimate(
  history: History,
  stepMs: number,
  ahead: { readonly steps: number; readonly seasonSteps: number },
): Estimates {
  const felt = smooth(history, stepMs, FELT_HALF_LIFE_MS)
  const byEstimator = ESTIMATORS.map(({ halfLifeMs, trend, season }) => {
    const level = smooth(history, stepMs, halfLifeMs)
    if (season) return seasonal(felt, level, ahead.seasonSteps, ahead.steps)
    const lagSteps = Math.round((1.44 * halfLifeMs) / stepMs)
    return trend ? trended(level, stepMs, ahead.steps + lagSteps) : level
  })
  const peak = new Float64Array(history.length)
  let highest = 0
  for (let at = 0; at < history.length; at += 1) {
    highest = Math.max(highest, felt[at]!)
    peak[at] = highest
  }
  return { byEstimator, peak, felt }
}

/** A season has to have been seen so often, and to explain so much. */
const SEASONS_MIN = 3
const SEASON_MIN_PPM = 500_000
/** A season is looked for in so many lengths. */
const SEASON_LENGTHS = 60

/** Length of the season in steps: where demand is most like itself; 0: none. */
export function seasonOf(felt: Float64Array, stepMs: number): number {
  const grain = Math.max(1, Math.round(10_000 / stepMs))
  const coarse: number[] = []
  for (let at = grain; at <= felt.length; at += grain) coarse.push(felt[at - 1]!)
  const count = coarse.length
  let mean = 0
  for (const value of coarse) mean += value / count
  let variance = 0
  for (const value of coarse) variance += (value - mean) * (value - mean)
  if (variance <= 0) return 0
  let best = 0
  let bestPpm = SEASON_MIN_PPM
  const longest = Math.min(SEASON_LENGTHS, Math.floor(count / SEASONS_MIN))
  for (let length = 3; length <= longest; length += 1) {
    let sum = 0
    for (let at = length; at < count; at += 1) {
      sum += (coarse[at]! - mean) * (coarse[at - length]! - mean)
    }
    const ppm = Math.round(((sum / variance) * 1_000_000 * count) / (count - length))
    // Twice a season is one, too: the shortest is meant.
    if (ppm > (best === 0 ? bestPpm : bestPpm * 1.1)) {
      best = length
      bestPpm = ppm
    }
  }
  return best * grain
}
