/** Whether a series repeats itself, and what its season adds. */

/** A season has to have been seen so often, and to explain so much of what varies. */
const SEASONS_MIN = 3
const SEASON_MIN = 0.5
/** Shortest season, in buckets. */
const SHORTEST = 4
/** Weight of the newest season in what a season adds. */
const NEWEST = 0.3

/** Length of the season in buckets; 0 = there is none. Values below 0 are not known. */
export function seasonOf(values: readonly number[]): number {
  const known = values.filter((value) => value >= 0)
  if (known.length < SEASONS_MIN * SHORTEST || known.length < values.length * 0.8) return 0
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  const off = values.map((value) => (value < 0 ? 0 : value - mean))
  const variance = off.reduce((sum, value) => sum + value * value, 0)
  if (variance <= 0) return 0
  const count = off.length
  const longest = Math.floor(count / SEASONS_MIN)
  const like = new Float64Array(longest + 2)
  for (let lag = 1; lag <= longest + 1; lag += 1) {
    let sum = 0
    for (let at = lag; at < count; at += 1) sum += off[at]! * off[at - lag]!
    like[lag] = (sum / variance) * (count / (count - lag))
  }
  let best = 0
  for (let lag = SHORTEST; lag <= longest; lag += 1) {
    const isPeak = like[lag]! >= like[lag - 1]! && like[lag]! >= like[lag + 1]!
    const least = best === 0 ? SEASON_MIN : like[best]! * 1.1
    // Twice a season is one, too: the shortest is meant.
    if (isPeak && like[lag]! > least) best = lag
  }
  return best
}

/** What each phase of a season adds to the level. */
export class Season {
  readonly length: number
  readonly #adds: number[]
  readonly #seen: number[]

  constructor(length: number) {
    this.length = length
    this.#adds = Array.from({ length }, () => 0)
    this.#seen = Array.from({ length }, () => 0)
  }

  /** What it adds at a bucket; 0 where it was never seen. */
  at(bucket: number): number {
    return this.length === 0 ? 0 : (this.#adds[bucket % this.length] ?? 0)
  }

  /** A value came where the level was known. */
  push(bucket: number, over: number): void {
    if (this.length === 0) return
    const phase = bucket % this.length
    this.#seen[phase] = (this.#seen[phase] ?? 0) + 1
    const weight = Math.max(NEWEST, 1 / this.#seen[phase]!)
    this.#adds[phase] = this.#adds[phase]! + weight * (over - this.#adds[phase]!)
  }
}
