/** Use of resources over time: what is kept of it, and how it grows. */
import { fade, merge } from './histogram.ts'
import type { Measured } from './messages.ts'
import { FADE_SAMPLES, TREND_POINTS, TREND_POINTS_MIN, TREND_SPAN_MS, type Usage } from './model.ts'

/** Adds what was measured in a stretch of time. */
export function addUsage(
  usage: Usage | null,
  measured: Measured | undefined,
  stretch: { readonly fromMs: number; readonly toMs: number },
): Usage | null {
  if (measured === undefined || measured.digest.count === 0) return usage
  const { fromMs, toMs } = stretch
  const { source } = measured
  if (usage === null) {
    return { digest: measured.digest, source, sinceMs: fromMs, newestMs: toMs }
  }
  const old = usage.digest.count > FADE_SAMPLES ? fade(usage.digest) : usage.digest
  return {
    digest: merge(old, measured.digest),
    source,
    sinceMs: Math.min(usage.sinceMs, fromMs),
    newestMs: Math.max(usage.newestMs, toMs),
  }
}

type Points = readonly (readonly [atMs: number, value: number])[]

/**
 * Adds a point; when there are too many, each second one goes, and later ones stand further apart.
 */
export function addPoint(points: Points, atMs: number, value: number): Points {
  const last = points.at(-1)
  if (last !== undefined && atMs <= last[0]) return points
  // A point for each part of the time that is seen so far.
  const first = points[0]
  if (first !== undefined && last !== undefined && points.length > 1) {
    const gapMs = (last[0] - first[0]) / TREND_POINTS
    if (atMs - last[0] < gapMs) return points
  }
  const all = [...points, [atMs, value] as const]
  return all.length <= TREND_POINTS ? all : all.filter((_, index) => index % 2 === 0)
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Slopes of all pairs of points, per hour, or undefined where too little is known. */
function slopesOf(points: Points): readonly number[] | undefined {
  const first = points[0]
  const last = points.at(-1)
  if (first === undefined || last === undefined) return undefined
  // What a start takes is no growth: the first third is left out.
  const fromMs = first[0] + (last[0] - first[0]) / 3
  const later = points.filter(([atMs]) => atMs >= fromMs)
  if (later.length < TREND_POINTS_MIN || last[0] - fromMs < TREND_SPAN_MS) return undefined
  const slopes: number[] = []
  for (const [index, [atMs, value]] of later.entries()) {
    for (const [thenMs, then] of later.slice(index + 1)) {
      slopes.push(((then - value) / (thenMs - atMs)) * 3_600_000)
    }
  }
  return slopes
}

/** Change per hour: the median slope (Theil 1950, Sen 1968), which single points do not move. */
export function growthOf(points: Points): number | undefined {
  const slopes = slopesOf(points)
  return slopes === undefined ? undefined : median(slopes)
}
