/** What a service is to expect, from the buckets that are kept of it. */
import { BUCKET_MS, HISTORY_MIN, type LoadState, type Unknown } from '../model.ts'
import { type Quality, type Told, Walk } from './walk.ts'

export type SeriesName = 'arrivals' | 'tokens'

export interface SeriesForecast {
  readonly series: SeriesName
  readonly unknown: Unknown | ''
  /** Buckets that are known. */
  readonly known: number
  readonly level: number
  readonly trend: number
  readonly seasonMs: number
  /** Variance over mean; 0 = not known. */
  readonly dispersion: number
  readonly points: readonly Told[]
  readonly quality: readonly Quality[]
}

function dispersionOf(known: readonly number[]): number {
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  if (!(mean > 0)) return 0
  const squares = known.reduce((sum, value) => sum + (value - mean) * (value - mean), 0)
  return squares / known.length / mean
}

/** A walk along the same buckets comes to the same: it is told, published and asked for. */
const walks = new WeakMap<readonly number[], { readonly quiet: number; readonly walk: Walk }>()

function walkAlong(buckets: readonly number[], quiet: number): Walk {
  const known = walks.get(buckets)
  if (known?.quiet === quiet) return known.walk
  const walk = new Walk()
  for (const value of buckets) walk.push(value)
  for (let bucket = 0; bucket < quiet; bucket += 1) walk.push(0)
  walks.set(buckets, { quiet, walk })
  return walk
}

/**
 * Forecast of one series.
 *
 * @param quietBuckets buckets since the newest one in which nothing came
 */
export function forecastSeries(
  load: LoadState,
  series: SeriesName,
  ask: { readonly buckets: number; readonly quietBuckets: number },
): SeriesForecast {
  const quiet = Array.from({ length: ask.quietBuckets }, () => 0)
  const values = [...load[series], ...quiet]
  const known = values.filter((value) => value >= 0)
  const nothing = (unknown: Unknown): SeriesForecast => ({
    series,
    unknown,
    known: known.length,
    level: 0,
    trend: 0,
    seasonMs: 0,
    dispersion: 0,
    points: [],
    quality: [],
  })
  if (known.length === 0) return nothing(series === 'tokens' ? 'NO_READING' : 'NO_LOAD')
  if (known.length < HISTORY_MIN) return nothing('HISTORY_SHORT')
  const walk = walkAlong(load[series], ask.quietBuckets)
  return {
    series,
    unknown: '',
    known: known.length,
    level: walk.level,
    trend: walk.trend,
    seasonMs: walk.season * BUCKET_MS,
    dispersion: dispersionOf(known),
    points: Array.from({ length: ask.buckets }, (_, index) => walk.ahead(index + 1)),
    quality: walk.quality,
  }
}
