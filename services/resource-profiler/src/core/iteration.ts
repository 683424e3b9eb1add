/** From steps that a task reported to the time of one iteration. */
import { math } from '@serverless-ai/kernel'
import {
  ITERATIONS_MIN,
  STALE_PERIODS,
  STEADY_PART,
  STEPS_WINDOW_MS,
  STRETCHES_MIN,
  type StepPoint,
  type Unknown,
} from './model.ts'

/** A period with its 90 % interval, or why there is none. */
export type Period =
  | {
      readonly unknown: ''
      readonly periodUs: number
      readonly lowUs: number
      readonly highUs: number
      readonly samples: number
      readonly spanMs: number
      readonly newestMs: number
    }
  | {
      readonly unknown: Unknown
      readonly samples: number
      readonly spanMs: number
      readonly newestMs: number
    }

/** 95 % quantiles of Student's t for 1 to 10 degrees of freedom; 1.7 above is on the safe side. */
const T95 = [6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812]

export const studentT = (degrees: number): number => T95[degrees - 1] ?? 1.75

/** Stretches further from the median than this hold more than iterations: they are left out. */
const OUTLIER = 0.5

interface Stretch {
  /** ms for each iteration. */
  readonly period: number
  readonly steps: number
}

/** Points of the newest window: a minute, or as many iterations as are needed. */
function windowOf(points: readonly StepPoint[]): readonly StepPoint[] {
  const last = points.at(-1)
  if (last === undefined) return points
  let from = points.length - 1
  while (from > 0) {
    const [atMs, step] = points[from]!
    const enough = last[1] - step >= 2 * ITERATIONS_MIN && points.length - from > STRETCHES_MIN
    if (last[0] - atMs >= STEPS_WINDOW_MS && enough) break
    from -= 1
  }
  // The first stretch after a start is slower than those to come.
  return points.slice(from === 0 && points.length > STRETCHES_MIN + 1 ? 1 : from)
}

function stretchesOf(points: readonly StepPoint[]): readonly Stretch[] {
  const stretches: Stretch[] = []
  for (let at = 1; at < points.length; at += 1) {
    const [fromMs, from] = points[at - 1]!
    const [toMs, to] = points[at]!
    if (to > from && toMs > fromMs) {
      stretches.push({ period: (toMs - fromMs) / (to - from), steps: to - from })
    }
  }
  return stretches
}

/** Period that half of the steps were not slower than. */
function medianOf(stretches: readonly Stretch[]): number {
  const sorted = [...stretches].sort((a, b) => a.period - b.period)
  let left = sorted.reduce((sum, { steps }) => sum + steps, 0) / 2
  for (const { period, steps } of sorted) {
    left -= steps
    if (left <= 0) return period
  }
  return sorted.at(-1)?.period ?? 0
}

/**
 * Time of one iteration: the mean over the stretches between reports that are like the median one,
 * weighed by their steps; what stands out (a checkpoint, an evaluation) is no iteration.
 */
export function periodOfSteps(all: readonly StepPoint[], nowMs: number): Period {
  const points = windowOf(all)
  const newestMs = all.at(-1)?.[0] ?? 0
  const spanMs = newestMs - (points[0]?.[0] ?? newestMs)
  const about = { samples: points.length, spanMs, newestMs }
  if (all.length === 0) return { unknown: 'NO_STEPS', ...about }
  const stretches = stretchesOf(points)
  const median = medianOf(stretches)
  const like = stretches.filter(({ period }) => {
    return period >= median * (1 - OUTLIER) && period <= median * (1 + OUTLIER)
  })
  const steps = like.reduce((sum, one) => sum + one.steps, 0)
  if (steps < ITERATIONS_MIN || like.length < STRETCHES_MIN) {
    return { unknown: 'FEW_STEPS', ...about }
  }
  const mean = like.reduce((sum, one) => sum + one.period * one.steps, 0) / steps
  const squares = like.reduce((sum, one) => {
    const off = one.period - mean
    return sum + one.steps * off * off
  }, 0)
  const degrees = like.length - 1
  const half = studentT(degrees) * math.pow(squares / (degrees * steps), 0.5)
  // Most of what was seen is unlike the rest: there is no such thing as its period.
  const lost = stretches.length - like.length
  if (half > mean * STEADY_PART || lost * 2 > stretches.length) {
    return { unknown: 'UNSTEADY', ...about }
  }
  const staleMs = Math.max(STEPS_WINDOW_MS, STALE_PERIODS * mean)
  if (nowMs - newestMs > staleMs) return { unknown: 'STALE', ...about }
  const us = (ms: number): number => Math.round(ms * 1_000)
  return {
    unknown: '',
    periodUs: us(mean),
    lowUs: us(mean - half),
    highUs: us(mean + half),
    ...about,
  }
}
