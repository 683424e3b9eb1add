/**
 * Intervals that keep their promise: quantiles of the errors so far, in units that grow with the
 * level, and a share that is corrected after each outcome (adaptive conformal inference, Gibbs and
 * Candès 2021).
 */
import { math } from '@serverless-ai/kernel'

/** Share of outcomes that may lie outside. */
const OUTSIDE = 0.1
/** How fast the share is corrected. */
const STEP = 0.015
const SHARE_MIN = 0.002
const SHARE_MAX = 0.5
/** Errors that are kept. */
const ERRORS_KEPT = 240
/** Errors below which the interval is that of chance alone (Poisson, with room). */
const ERRORS_MIN = 20
/** What an error is measured in: the deviation that chance alone would have. */
const unitOf = (expected: number): number => math.pow(Math.max(1, expected), 0.5)
/** Interval of chance alone, in units. */
const CHANCE = 3

export interface Interval {
  readonly low: number
  readonly high: number
}

/** Intervals for one distance. */
export class Intervals {
  /** In the order in which they came, and sorted. */
  readonly #errors: number[] = []
  readonly #sorted: number[] = []
  #share = OUTSIDE
  judged = 0
  inside = 0

  of(expected: number): Interval {
    const unit = unitOf(expected)
    const [low, high] = this.#bounds()
    return {
      low: Math.max(0, expected + low * unit),
      high: Math.max(0, expected + high * unit),
    }
  }

  #bounds(): readonly [number, number] {
    const count = this.#sorted.length
    if (count < ERRORS_MIN) return [-CHANCE, CHANCE]
    const tail = (count + 1) * (this.#share / 2)
    return [this.#order(tail), this.#order(count + 1 - tail)]
  }

  /** Error of a rank from 1 on, between two of them; beyond the ends a little more than those. */
  #order(rank: number): number {
    const sorted = this.#sorted
    const count = sorted.length
    if (rank < 1) return sorted[0]! - (1 - rank) * (sorted.at(-1)! - sorted[0]!) * 0.25
    if (rank > count) return sorted.at(-1)! + (rank - count) * (sorted.at(-1)! - sorted[0]!) * 0.25
    const below = Math.floor(rank)
    const from = sorted[below - 1]!
    const to = sorted[Math.min(count, below + 1) - 1]!
    return from + (rank - below) * (to - from)
  }

  /** What was expected, with its interval then, came to `value`. */
  judge(expected: number, interval: Interval, value: number): void {
    const isInside = value >= interval.low && value <= interval.high
    this.judged += 1
    if (isInside) this.inside += 1
    if (this.#errors.length >= ERRORS_MIN) {
      const share = this.#share + STEP * (OUTSIDE - (isInside ? 0 : 1))
      this.#share = Math.min(SHARE_MAX, Math.max(SHARE_MIN, share))
    }
    this.#keep((value - expected) / unitOf(expected))
  }

  #keep(error: number): void {
    this.#errors.push(error)
    this.#sorted.splice(placeOf(this.#sorted, error), 0, error)
    if (this.#errors.length <= ERRORS_KEPT) return
    const oldest = this.#errors.shift()!
    this.#sorted.splice(placeOf(this.#sorted, oldest), 1)
  }
}

/** Where a value stands, or would stand, in a sorted list. */
function placeOf(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
