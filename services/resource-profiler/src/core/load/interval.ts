/**
 * Intervals that keep their promise: quantiles of the errors so far, and a share that is corrected
 * after each outcome (adaptive conformal inference, Gibbs and Candès 2021).
 */
import { math } from '@serverless-ai/kernel'

/** Share of outcomes that may lie outside. */
const OUTSIDE = 0.1
/** How fast the share is corrected. */
const STEP = 0.02
const SHARE_MIN = 0.005
const SHARE_MAX = 0.6
/** Errors that are kept. */
const ERRORS_KEPT = 240
/** Errors from which quantiles are told. */
const ERRORS_MIN = 20
/** Beyond the largest error that was seen, the interval ends this part of all of them further. */
const BEYOND = 0.1
/** Part of an old score that is left after each outcome. */
const FORGET = 0.98

export interface Interval {
  readonly low: number
  readonly high: number
}

/** What errors are measured in: the same at any level, or the deviation that chance alone has. */
type Unit = 'same' | 'root'
const unitOf = (unit: Unit, expected: number): number =>
  unit === 'same' ? 1 : math.pow(Math.max(1, expected), 0.5)

/** Quantiles of errors in one unit. */
class Errors {
  readonly #unit: Unit
  /** In the order in which they came, and sorted. */
  readonly #errors: number[] = []
  readonly #sorted: number[] = []
  #share = OUTSIDE
  /** Interval scores, the newest most: width, and what lies outside for what it costs. */
  score = 0

  constructor(unit: Unit) {
    this.#unit = unit
  }

  get count(): number {
    return this.#errors.length
  }

  of(expected: number): Interval {
    const unit = unitOf(this.#unit, expected)
    const tail = (this.#sorted.length + 1) * (this.#share / 2)
    const low = this.#order(tail)
    const high = this.#order(this.#sorted.length + 1 - tail)
    return { low: Math.max(0, expected + low * unit), high: Math.max(0, expected + high * unit) }
  }

  /** Error of a rank from 1 on, between two of them; beyond the ends a little more than those. */
  #order(rank: number): number {
    const sorted = this.#sorted
    const count = sorted.length
    const [first, last] = [sorted[0] ?? 0, sorted.at(-1) ?? 0]
    if (rank < 1) return first - (1 - rank) * (last - first) * BEYOND
    if (rank > count) return last + (rank - count) * (last - first) * BEYOND
    const below = Math.floor(rank)
    const from = sorted[below - 1]!
    const to = sorted[Math.min(count, below + 1) - 1]!
    return from + (rank - below) * (to - from)
  }

  /** What was expected came to `value`; `told` is the interval that it had in this unit. */
  judge(expected: number, told: Interval | undefined, value: number): void {
    if (told !== undefined) {
      const outside = Math.max(0, told.low - value) + Math.max(0, value - told.high)
      this.score = this.score * FORGET + (told.high - told.low) + (2 / OUTSIDE) * outside
      const share = this.#share + STEP * (OUTSIDE - (outside > 0 ? 1 : 0))
      this.#share = Math.min(SHARE_MAX, Math.max(SHARE_MIN, share))
    }
    const error = (value - expected) / unitOf(this.#unit, expected)
    this.#errors.push(error)
    this.#sorted.splice(placeOf(this.#sorted, error), 0, error)
    if (this.#errors.length <= ERRORS_KEPT) return
    const oldest = this.#errors.shift()!
    this.#sorted.splice(placeOf(this.#sorted, oldest), 1)
  }
}

/** An interval as it is told, and what stands behind it. */
export interface ToldInterval extends Interval {
  readonly byUnit: readonly (Interval | undefined)[]
}

/** Intervals for one distance: in the unit in which they did best of late. */
export class Intervals {
  readonly #units: readonly Errors[] = [new Errors('same'), new Errors('root')]
  readonly #errorsMin: number
  judged = 0
  inside = 0

  /** @param ahead distance, in buckets: errors of buckets that near each other say the same */
  constructor(ahead: number) {
    this.#errorsMin = ERRORS_MIN + 2 * ahead
  }

  /** True when there are errors enough of this distance. */
  get isReady(): boolean {
    return (this.#units[0]?.count ?? 0) >= this.#errorsMin
  }

  /** @param otherwise the interval where there are too few errors yet */
  of(expected: number, otherwise: () => Interval): ToldInterval {
    if (!this.isReady) return { ...otherwise(), byUnit: [] }
    const byUnit = this.#units.map((errors) => errors.of(expected))
    let best = 0
    for (const [index, { score }] of this.#units.entries()) {
      if (score < this.#units[best]!.score) best = index
    }
    return { ...byUnit[best]!, byUnit }
  }

  /** What was expected, with its interval then, came to `value`. */
  judge(expected: number, told: ToldInterval, value: number): void {
    this.judged += 1
    if (value >= told.low && value <= told.high) this.inside += 1
    for (const [index, errors] of this.#units.entries()) {
      errors.judge(expected, told.byUnit[index], value)
    }
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
