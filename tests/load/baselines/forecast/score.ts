import { DISTANCES, type Told } from '@serverless-ai/resource-profiler/testing'
import { type Forecaster, HoltWinters, Mean, Naive, ours } from './forecasters.ts'

/** Share of a series that only warms up: weights are fitted on it, nothing of it is judged. */
const WARM = 1 / 3
/** What may lie outside of an interval. */
const OUTSIDE = 0.1

/** How one forecaster did at one distance. */
export interface Score {
  readonly forecaster: string
  readonly ahead: number
  readonly judged: number
  /** Mean absolute error over that of the naive one. */
  readonly errorToNaive: number
  /** Share of buckets inside of their interval; 0.9 is promised. */
  readonly coverage: number
  /**
   * Mean interval score (Gneiting and Raftery 2007: width, and 20 × what lies outside) over the
   * naive one's.
   */
  readonly intervalToNaive: number
}

interface Sums {
  judged: number
  error: number
  inside: number
  interval: number
}

function judge(sums: Sums, told: Told, value: number): void {
  sums.judged += 1
  sums.error += Math.abs(value - told.expected)
  if (value >= told.low && value <= told.high) sums.inside += 1
  const outside = Math.max(0, told.low - value) + Math.max(0, value - told.high)
  sums.interval += told.high - told.low + (2 / OUTSIDE) * outside
}

/** Carries a forecaster along a series: what it said of each bucket is held against what came. */
function carried(make: (first: readonly number[]) => Forecaster, values: readonly number[]) {
  const from = Math.floor(values.length * WARM)
  const first = values.slice(0, from)
  const forecaster = make(first)
  const sums = new Map<number, Sums>(
    DISTANCES.map((ahead) => [ahead, { judged: 0, error: 0, inside: 0, interval: 0 }]),
  )
  for (const [at, value] of values.entries()) {
    if (at >= from) forecaster.push(value)
    for (const [ahead, sum] of sums) {
      const then = values[at + ahead]
      // Judged are buckets behind the warm-up, by what was said behind it.
      if (at >= from && then !== undefined) judge(sum, forecaster.ahead(ahead), then)
    }
  }
  return sums
}

/** Forecasters that fit nothing see the warm-up as well. */
const warmed =
  (make: () => Forecaster) =>
  (first: readonly number[]): Forecaster => {
    const forecaster = make()
    for (const value of first) forecaster.push(value)
    return forecaster
  }

const FORECASTERS: readonly (readonly [string, (first: readonly number[]) => Forecaster])[] = [
  ['ours', warmed(ours)],
  ['naive', warmed(() => new Naive())],
  ['holt-winters', (first) => new HoltWinters(first)],
  ['mean', warmed(() => new Mean())],
]

const near = (value: number): number => Number(value.toFixed(3))

/** All forecasters at all distances of a series. */
export function scores(values: readonly number[]): readonly Score[] {
  const all = FORECASTERS.map(([forecaster, make]) => ({ forecaster, by: carried(make, values) }))
  const naive = all.find(({ forecaster }) => forecaster === 'naive')?.by
  return all.flatMap(({ forecaster, by }) =>
    [...by].flatMap(([ahead, sums]): Score[] => {
      const base = naive?.get(ahead)
      if (base === undefined || sums.judged === 0) return []
      return [
        {
          forecaster,
          ahead,
          judged: sums.judged,
          errorToNaive: near(sums.error / Math.max(1e-9, base.error)),
          coverage: near(sums.inside / sums.judged),
          intervalToNaive: near(sums.interval / Math.max(1e-9, base.interval)),
        },
      ]
    }),
  )
}

/** Counts by buckets of time. `weights`: what each counts; 1 where absent. */
export function bucketed(
  atMs: Float64Array,
  bucketMs: number,
  weights?: Float64Array,
): readonly number[] {
  const buckets: number[] = []
  for (const [index, ms] of atMs.entries()) {
    const bucket = Math.floor(ms / bucketMs)
    while (buckets.length <= bucket) buckets.push(0)
    buckets[bucket]! += weights?.[index] ?? 1
  }
  // The last one is not whole.
  return buckets.slice(0, -1)
}
