/** Simple forecasts of one series, each with one idea; none of them looks ahead. */
import { math } from '@serverless-ai/kernel'

/** Weight of the newest value for a half-life in buckets. */
const weightOf = (halfLife: number): number => 1 - math.pow(0.5, 1 / halfLife)

/** A forecast that is carried from bucket to bucket. */
export interface Candidate {
  readonly name: string
  /** The next value came. `season`: what the season adds to it, 0 without one. */
  push(value: number, season: number): void
  /** The next value is not known. */
  skip(): void
  /** Expected in so many buckets, without what the season adds then. */
  ahead(buckets: number): number
  /** Whether the season is added to what it says. */
  readonly seasonal: boolean
}

/** Further ahead a trend goes on no more. */
const AHEAD_MAX = 120
/** Part of a trend that is left after each bucket. */
const DAMPING = 0.97

/** Damped trend over so many buckets: 0.97 + 0.97² + … */
const DAMPED_SUMS: readonly number[] = (() => {
  const sums = [0]
  let left = 1
  for (let buckets = 1; buckets <= AHEAD_MAX; buckets += 1) {
    left *= DAMPING
    sums.push(sums[buckets - 1]! + left)
  }
  return sums
})()

const dampedSum = (buckets: number): number => DAMPED_SUMS[Math.min(buckets, AHEAD_MAX)]!

/** A level, smoothed, and a trend that fades where one is followed. */
class Level implements Candidate {
  readonly name: string
  readonly seasonal: boolean
  readonly #weight: number
  readonly #trendWeight: number
  #level = 0
  #trend = 0
  #seen = 0

  constructor(init: {
    readonly name: string
    readonly halfLife: number
    readonly trend: boolean
    readonly seasonal: boolean
  }) {
    this.name = init.name
    this.seasonal = init.seasonal
    this.#weight = weightOf(init.halfLife)
    this.#trendWeight = init.trend ? weightOf(init.halfLife) / 2 : 0
  }

  get level(): number {
    return this.#level
  }

  get trend(): number {
    return this.#trend
  }

  push(value: number, season: number): void {
    const plain = this.seasonal ? value - season : value
    this.#seen += 1
    // The first values weigh as an average does: no single one is the level.
    const weight = Math.max(this.#weight, 1 / this.#seen)
    const expected = this.#level + this.#trend * DAMPING
    const level = expected + weight * (plain - expected)
    if (this.#seen > 2 && this.#trendWeight > 0) {
      const change = level - this.#level
      this.#trend = this.#trend * DAMPING + this.#trendWeight * (change - this.#trend * DAMPING)
    }
    this.#level = level
  }

  skip(): void {
    this.#level += this.#trend * DAMPING
    this.#trend *= DAMPING
  }

  ahead(buckets: number): number {
    return this.#level + this.#trend * dampedSum(buckets)
  }
}

/** Long half-lives that stand for "as ever". */
const HALF_LIVES = [0.5, 2, 6, 20, 90]

/** The family: levels of several half-lives, with a damped trend, with the season. */
export function candidates(): { readonly all: readonly Candidate[]; readonly level: Level } {
  const level = (halfLife: number, trend: boolean, seasonal: boolean): Level =>
    new Level({
      name: `level-${halfLife}${trend ? '-trend' : ''}${seasonal ? '-season' : ''}`,
      halfLife,
      trend,
      seasonal,
    })
  const told = level(6, true, false)
  const all = [
    ...HALF_LIVES.map((halfLife) => level(halfLife, false, false)),
    told,
    level(20, true, false),
    level(6, false, true),
    level(20, true, true),
    level(90, false, true),
  ]
  return { all, level: told }
}
