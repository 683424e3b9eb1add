import { bucketed, type Score, scores } from '../baselines/forecast/score.ts'
import { loadSample, loadTrace, TRACES } from '../baselines/traces.ts'
import type { Campaign, Case } from './campaign.ts'

/** Buckets as the profiler has them. */
const BUCKET_MS = 10_000
/** Of a sample of ten minutes there would be few. */
const SAMPLE_BUCKET_MS = 2_000
/**
 * Share of buckets inside of their intervals, over all distances: the goal, and what is a defect.
 */
const GOAL = { least: 0.85, most: 0.95 }
const DEFECT = { least: 0.75, most: 0.98 }

interface Series {
  readonly name: string
  readonly bucketMs: number
  readonly values: () => readonly number[]
}

const ofTraces = (): readonly Series[] =>
  TRACES.flatMap((trace) => {
    const load = () => loadTrace(trace)
    const arrivals = () => bucketed(load().arrivalMs, BUCKET_MS)
    const tokens = () => {
      const { arrivalMs, inputTokens } = load()
      return bucketed(arrivalMs, BUCKET_MS, inputTokens)
    }
    return [
      { name: `${trace}, arrivals`, bucketMs: BUCKET_MS, values: arrivals },
      { name: `${trace}, tokens`, bucketMs: BUCKET_MS, values: tokens },
    ]
  })

function meanCoverage(all: readonly Score[]): number {
  const ours = all.filter(({ forecaster }) => forecaster === 'ours')
  const judged = ours.reduce((sum, one) => sum + one.judged, 0)
  return ours.reduce((sum, one) => sum + one.coverage * one.judged, 0) / judged
}

const caseOf = ({ name, bucketMs, values }: Series, repro: string): Case => ({
  name,
  repro,
  run: async (say) => {
    const series = values()
    const all = scores(series)
    const coverage = Number(meanCoverage(all).toFixed(3))
    const mean = series.reduce((sum, value) => sum + value, 0) / series.length
    for (const one of all) {
      const { forecaster, ahead, errorToNaive, intervalToNaive } = one
      say(
        `${forecaster.padEnd(12)} + ${String(ahead).padStart(2)}  error ${errorToNaive}  ` +
          `coverage ${one.coverage}  interval ${intervalToNaive}`,
      )
    }
    if (coverage < DEFECT.least || coverage > DEFECT.most) {
      throw new Error(`${coverage} of the buckets are inside of intervals that promise 0.9`)
    }
    const goal = coverage >= GOAL.least && coverage <= GOAL.most ? 'kept' : 'missed'
    const meanPerBucket = Number(mean.toFixed(2))
    return { bucketMs, buckets: series.length, meanPerBucket, coverage, goal, scores: all }
  },
})

/** The profiler's forecast beside naive, Holt-Winters and mean on public traces. */
export const forecast: Campaign = {
  name: 'forecast',
  about: 'load forecasts beside naive, Holt-Winters and mean on public traces (SAI_SHARED_DIR)',
  settings: ({ slice }) => ({ bucketMs: slice ? SAMPLE_BUCKET_MS : BUCKET_MS, promised: 0.9 }),
  cases({ seed, slice }) {
    const flags = `--seed ${seed}`
    if (slice) {
      const values = () => bucketed(loadSample().arrivalMs, SAMPLE_BUCKET_MS)
      const sample = { name: 'azure-code (sample)', bucketMs: SAMPLE_BUCKET_MS, values }
      return [caseOf(sample, `npm run campaign -- forecast --slice ${flags}`)]
    }
    return ofTraces().map((series, index) =>
      caseOf(series, `npm run campaign -- forecast ${flags} --only ${index + 1}`),
    )
  },
}
