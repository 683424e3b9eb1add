/**
 * The period of bursts in CPU use, by autocorrelation. Without a return that stands out, and
 * returns again, there is none: noise, a steady load and a single burst have no period.
 */
import { math } from '@serverless-ai/kernel'
import type { BurstFinding } from '../model.ts'

/** CPU use over time on an even grid, thousandths of a core. */
export interface CpuSeries {
  readonly stepMs: number
  /** Oldest first. */
  readonly values: readonly number[]
}

/** A period has to be seen so often. */
const RETURNS_MIN = 3
/** Steps of the grid (half stretches) below which periods are not told: aliases begin there. */
const STEPS_MIN = 8
const VALUES_MIN = 30
/** Autocorrelation of a return: of the first, and of the ones after it. */
const FIRST_MIN = 0.4
const SECOND_MIN = 0.3
/** Chance gives this many standard deviations to no return, were neighbours of the grid alike. */
const SIGMAS = 4
const ALIKE = 3
/** A return is that much above what was before it. */
const STANDS_OUT = 0.25
/** Below this variation (standard deviation over mean) there are no bursts. */
const VARIATION_MIN = 0.15
/** Below this mean use, thousandths of a core, bursts are those of a task that only waits. */
const MEAN_MIN = 5

type About = Pick<BurstFinding, 'samples' | 'spanMs' | 'source'>

const nothing = (unknown: BurstFinding['unknown'], about: About): BurstFinding => ({
  periodUs: 0,
  lowUs: 0,
  highUs: 0,
  unknown,
  ...about,
})

/** Sums of the first values: `sums[at]` is that of those before `at`. */
function sumsOf(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1)
  for (const [at, value] of values.entries()) sums[at + 1] = sums[at]! + value
  return sums
}

/**
 * Autocorrelation at lags 0 to `most`: each is the correlation of the pairs that there are, about
 * their own means, so that a part of a period at the ends does not weaken it.
 */
function autocorrelation(values: readonly number[], most: number): Float64Array {
  const count = values.length
  const out = new Float64Array(most + 1)
  const sums = sumsOf(values)
  const squares = sumsOf(values.map((value) => value * value))
  for (let lag = 0; lag <= most; lag += 1) {
    const pairs = count - lag
    let products = 0
    for (let at = lag; at < count; at += 1) products += values[at]! * values[at - lag]!
    const [early, late] = [sums[pairs]!, sums[count]! - sums[lag]!]
    const earlyVaries = squares[pairs]! - (early * early) / pairs
    const lateVaries = squares[count]! - squares[lag]! - (late * late) / pairs
    const varies = earlyVaries * lateVaries
    if (varies > 0) out[lag] = (products - (early * late) / pairs) / math.pow(varies, 0.5)
  }
  return out
}

/** Where the curve is highest within `reach` of a lag, between grid points; -1: at no peak. */
function peakNear(curve: Float64Array, lag: number, reach: number): number {
  let best = -1
  const from = Math.max(1, Math.floor(lag - reach))
  const to = Math.min(curve.length - 2, Math.ceil(lag + reach))
  for (let at = from; at <= to; at += 1) {
    const isPeak = curve[at]! >= curve[at - 1]! && curve[at]! >= curve[at + 1]!
    if (isPeak && (best < 0 || curve[at]! > curve[best]!)) best = at
  }
  if (best < 0) return -1
  // The top of the parabola through three points.
  const [left, top, right] = [curve[best - 1]!, curve[best]!, curve[best + 1]!]
  const bend = left - 2 * top + right
  return bend < 0 ? best + (left - right) / (2 * bend) : best
}

const valueAt = (curve: Float64Array, lag: number): number => curve[Math.round(lag)] ?? 0

/** What a return has to be above: more so where fewer pairs speak for it. */
function leastAt(lag: number, count: number, least: number): number {
  return Math.max(least, SIGMAS / math.pow((count - lag) / ALIKE, 0.5))
}

/** First return that stands out: the curve has been well below before. */
function firstReturn(curve: Float64Array, count: number): number {
  const stands: number[] = []
  let lowest = 1
  for (let at = 1; at < curve.length - 1; at += 1) {
    lowest = Math.min(lowest, curve[at]!)
    const isPeak = curve[at]! >= curve[at - 1]! && curve[at]! >= curve[at + 1]!
    const least = Math.max(leastAt(at, count, FIRST_MIN), lowest + STANDS_OUT)
    if (isPeak && curve[at]! >= least) stands.push(at)
  }
  const highest = Math.max(0, ...stands.map((at) => curve[at]!))
  // Twice a period returns as well as once; the first that returns nearly as well is meant.
  return stands.find((at) => curve[at]! >= 0.75 * highest) ?? -1
}

/** Walks from return to return: the further one is, the sharper it tells the period. */
function sharpen(
  curve: Float64Array,
  first: number,
  count: number,
): { readonly period: number; readonly returns: number } {
  let period = peakNear(curve, first, 1)
  let returns = 1
  for (let times = 2; ; times += 1) {
    const lag = peakNear(curve, times * period, Math.max(1, period / 4))
    if (lag < 0 || valueAt(curve, lag) < leastAt(lag, count, SECOND_MIN)) break
    period = lag / times
    returns = times
  }
  return { period, returns }
}

/** The period of the bursts of a task. */
export function periodOfBursts(series: CpuSeries, source: string): BurstFinding {
  const { stepMs, values } = series
  const count = values.length
  const about = { samples: count, spanMs: count * stepMs, source }
  if (count < VALUES_MIN) return nothing('FEW_SAMPLES', about)
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const squares = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0)
  const deviation = math.pow(squares / count, 0.5)
  if (mean < MEAN_MIN || deviation < VARIATION_MIN * mean) return nothing('STEADY', about)
  const curve = autocorrelation(values, Math.floor((count * 2) / RETURNS_MIN))
  const first = firstReturn(curve, count)
  if (first < 0 || first * RETURNS_MIN > count) return nothing('NO_PERIOD', about)
  if (first < STEPS_MIN) return nothing('TOO_COARSE', about)
  const { period, returns } = sharpen(curve, first, count)
  if (period <= 0 || returns < 2) return nothing('NO_PERIOD', about)
  const us = (steps: number): number => Math.round(steps * stepMs * 1_000)
  // A return is told to half a step of the grid, and that over as many periods as it is away.
  const half = 0.5 / returns
  return {
    periodUs: us(period),
    lowUs: us(period - half),
    highUs: us(period + half),
    unknown: '',
    ...about,
  }
}
