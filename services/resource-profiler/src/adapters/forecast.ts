/** The load to come of a service, in the words of the contract. */
import type { SeriesForecast } from '@serverless-ai/contracts/profile/v1/profile'
import { forecastSeries, type SeriesName } from '../core/load/forecast.ts'
import { BUCKET_MS, type LoadState } from '../core/model.ts'
import { quietBucketsOf } from '../core/rest.ts'
import { seriesToProto } from './to-proto.ts'

const SERIES: readonly SeriesName[] = ['arrivals', 'tokens']

export interface ForecastOfLoad {
  readonly bucketMs: bigint
  readonly newestMs: bigint
  readonly series: SeriesForecast[]
}

/** Arrivals and tokens of the time from now on. */
export function forecastOf(load: LoadState, horizonMs: number, nowMs: number): ForecastOfLoad {
  const quietBuckets = quietBucketsOf(load, nowMs)
  const newest = load.newest < 0 ? -1 : load.newest + quietBuckets
  const now = Math.floor(nowMs / BUCKET_MS)
  // Buckets that are over and not known yet are forecast as well: they come first.
  const behind = newest < 0 ? 0 : Math.max(0, Math.min(now - newest - 1, 6))
  const buckets = Math.ceil(horizonMs / BUCKET_MS) + behind
  const first = newest < 0 ? now : newest + 1
  return {
    bucketMs: BigInt(BUCKET_MS),
    newestMs: BigInt(Math.max(0, newest) * BUCKET_MS),
    series: SERIES.map((series) =>
      seriesToProto(forecastSeries(load, series, { buckets, quietBuckets }), first, nowMs),
    ),
  }
}
