import type { Latency } from './latency.ts'
import type { Ledger } from './ledger.ts'

/** What is limited: slowdown over the same request alone on an idle reference. */
export type Indicator = 'ttft' | 'tpot' | 'e2e'

/** A share of all requests has to be within a slowdown. */
export interface Clause {
  readonly indicator: Indicator
  /** Share of requests, 0 to 1. */
  readonly quantile: number
  /** Slowdown at most. */
  readonly limit: number
}

/**
 * Objective of Splitwise (ISCA 2024; `notebooks/plots.ipynb` of splitwise-sim): p50, p90 and p99 of
 * the slowdown against an idle A100.
 */
export const SPLITWISE_OBJECTIVE: readonly Clause[] = [
  { indicator: 'ttft', quantile: 0.5, limit: 2 },
  { indicator: 'ttft', quantile: 0.9, limit: 3 },
  { indicator: 'ttft', quantile: 0.99, limit: 6 },
  { indicator: 'tpot', quantile: 0.5, limit: 1.25 },
  { indicator: 'tpot', quantile: 0.9, limit: 1.5 },
  { indicator: 'tpot', quantile: 0.99, limit: 5 },
  { indicator: 'e2e', quantile: 0.5, limit: 1.25 },
  { indicator: 'e2e', quantile: 0.9, limit: 1.5 },
  { indicator: 'e2e', quantile: 0.99, limit: 5 },
]

/** Slowdowns of one request; infinite for what never happened. */
export interface Slowdown {
  readonly ttft: number
  /** 0 when there was one output token only. */
  readonly tpot: number
  readonly e2e: number
}

const orNever = (value: number): number => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)

/** How much slower a request was than alone on `reference`. */
export function slowdownOf(ledger: Ledger, request: number, reference: Latency): Slowdown {
  const { arrivalMs, inputTokens, outputTokens } = ledger.requests
  const arrival = arrivalMs[request]!
  const input = inputTokens[request]!
  const output = outputTokens[request]!
  const first = ledger.firstMs[request]!
  const end = ledger.endMs[request]!
  const promptMs = reference.promptMs(input)
  const tokenMs = reference.decodeMs(1, input + output / 2)
  return {
    ttft: orNever((first - arrival) / promptMs),
    tpot: output > 1 ? orNever((end - first) / (output - 1) / tokenMs) : 0,
    e2e: orNever((end - arrival) / (promptMs + (output - 1) * tokenMs)),
  }
}

/** How a run did against an objective. */
export interface Attainment {
  readonly requests: number
  /** Share of requests within the limits of the highest quantiles, all indicators together. */
  readonly share: number
  /** By clause: its quantile of the slowdown. */
  readonly quantiles: readonly number[]
  /** All clauses hold, and the share is that of the highest quantile at least. */
  readonly met: boolean
  /** Requests that never ended. */
  readonly lost: number
}

/** Judges the requests that arrived in [fromMs, untilMs). */
export function judge(
  ledger: Ledger,
  options: {
    readonly reference: Latency
    readonly objective: readonly Clause[]
    readonly fromMs: number
    readonly untilMs: number
  },
): Attainment {
  const { reference, objective, fromMs, untilMs } = options
  const highest = Math.max(...objective.map(({ quantile }) => quantile))
  const strict = objective.filter(({ quantile }) => quantile === highest)
  const values: Record<Indicator, number[]> = { ttft: [], tpot: [], e2e: [] }
  let within = 0
  let lost = 0
  ledger.requests.arrivalMs.forEach((at, request) => {
    if (at < fromMs || at >= untilMs) return
    const slowdown = slowdownOf(ledger, request, reference)
    values.ttft.push(slowdown.ttft)
    values.tpot.push(slowdown.tpot)
    values.e2e.push(slowdown.e2e)
    if (strict.every(({ indicator, limit }) => slowdown[indicator] <= limit)) within += 1
    if (Number.isNaN(ledger.endMs[request]!)) lost += 1
  })
  const requests = values.ttft.length
  const sorted = {
    ttft: Float64Array.from(values.ttft).sort(),
    tpot: Float64Array.from(values.tpot).sort(),
    e2e: Float64Array.from(values.e2e).sort(),
  }
  const quantiles = objective.map(({ indicator, quantile }) => {
    const index = Math.min(requests - 1, Math.ceil(quantile * requests) - 1)
    return sorted[indicator][index] ?? 0
  })
  const share = requests === 0 ? 1 : within / requests
  const met = share >= highest && objective.every(({ limit }, index) => quantiles[index]! <= limit)
  return { requests, share, quantiles, met, lost }
}
