/** Requests of a load, by column; ascending in time. */
export interface Requests {
  readonly arrivalMs: Float64Array
  readonly inputTokens: Float64Array
  readonly outputTokens: Float64Array
}

/** One request. */
export interface Request {
  readonly arrivalMs: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** Sorts and makes columns of it. Both token counts are at least 1. */
export function toRequests(rows: readonly Request[]): Requests {
  const sorted = [...rows].sort((a, b) => a.arrivalMs - b.arrivalMs)
  return {
    arrivalMs: Float64Array.from(sorted, (row) => row.arrivalMs),
    inputTokens: Float64Array.from(sorted, (row) => Math.max(1, row.inputTokens)),
    outputTokens: Float64Array.from(sorted, (row) => Math.max(1, row.outputTokens)),
  }
}

/** Those that arrive in [fromMs, untilMs), times counted from `fromMs`. */
export function cutRequests(requests: Requests, fromMs: number, untilMs: number): Requests {
  const rows: Request[] = []
  requests.arrivalMs.forEach((at, index) => {
    if (at < fromMs || at >= untilMs) return
    const inputTokens = requests.inputTokens[index]!
    const outputTokens = requests.outputTokens[index]!
    rows.push({ arrivalMs: at - fromMs, inputTokens, outputTokens })
  })
  return toRequests(rows)
}

/** Sizes of added requests are those of requests so near. */
const NEIGHBOURS = 50

/** What {@link rescale} needs of randomness. */
export interface Dice {
  /** Uniform integer in [0, below). */
  int(below: number): number
}

/**
 * The same load at `factor` times the rate: each gap between two arrivals holds `factor` of them,
 * evenly, so that the shape over time stays at all scales above a gap; sizes of the added ones are
 * drawn from the 50 requests before and after. Bursts are kept as they are: a sum of independent
 * users would be smoother.
 */
export function rescale(requests: Requests, factor: number, dice: Dice): Requests {
  const { arrivalMs } = requests
  const last = arrivalMs.length - 1
  const count = Math.floor(last * factor)
  const rows: Request[] = []
  for (let index = 0; index < count; index += 1) {
    const place = index / factor
    const before = Math.floor(place)
    const from = arrivalMs[before]!
    const near = Math.floor((index - 1) / factor) === before
    const shift = dice.int(2 * NEIGHBOURS + 1) - NEIGHBOURS
    const size = near ? Math.min(last, Math.max(0, before + shift)) : before
    rows.push({
      arrivalMs: from + (place - before) * (arrivalMs[Math.min(last, before + 1)]! - from),
      inputTokens: requests.inputTokens[size]!,
      outputTokens: requests.outputTokens[size]!,
    })
  }
  return toRequests(rows)
}
