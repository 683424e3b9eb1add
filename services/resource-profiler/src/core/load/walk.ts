/**
 * A forecast that is carried along a series, bucket by bucket. Nothing that is said at a bucket
 * knows of later ones. What is known of a series is a pure function of its values.
 */
import { math } from '@serverless-ai/kernel'
import { type Candidate, candidates } from './candidates.ts'
import { type Interval, Intervals, type ToldInterval } from './interval.ts'
import { Season, seasonOf } from './season.ts'

/** Distances at which candidates and intervals are judged, in buckets. */
export const DISTANCES = [1, 2, 3, 6, 12, 30, 60] as const

/** What was told of a bucket to come. */
export interface Told extends Interval {
  readonly expected: number
}

/** How forecasts of one distance did. */
export interface Quality {
  readonly ahead: number
  readonly judged: number
  readonly inside: number
  /** Sums of absolute errors: of what was told, and of the value that was newest then. */
  readonly error: number
  readonly naiveError: number
}

/** Part of an old error that is left after each bucket. */
const FORGET = 0.985
/** The season is looked for again after so many buckets. */
const SEASON_EVERY = 30

/** What was said for a bucket by all candidates, and together. */
interface Pending {
  readonly byCandidate: readonly number[]
  readonly expected: number
  readonly told: ToldInterval
  readonly naive: number
}

/** An interval where a distance has too few errors of its own. */
type Otherwise = (expected: number, ahead: number) => Interval

/** Forecasts of one distance: who is listened to, and how far off they are. */
class Distance {
  readonly ahead: number
  readonly intervals: Intervals
  readonly #errors: number[]
  readonly #pending: (Pending | undefined)[] = []
  error = 0
  naiveError = 0

  constructor(ahead: number, count: number) {
    this.ahead = ahead
    this.intervals = new Intervals(ahead)
    this.#errors = Array.from({ length: count }, () => 0)
  }

  /** Those that were off least count most: by the eighth power of their errors. */
  combine(values: readonly number[]): number {
    let least = Number.POSITIVE_INFINITY
    for (const error of this.#errors) if (error < least) least = error
    let sum = 0
    let weights = 0
    for (const [index, value] of values.entries()) {
      const ratio = least <= 0 ? (this.#errors[index]! <= 0 ? 1 : 0) : least / this.#errors[index]!
      const fourth = ratio * ratio * ratio * ratio
      const weight = fourth * fourth
      sum += weight * value
      weights += weight
    }
    return Math.max(0, sum / weights)
  }

  say(byCandidate: readonly number[], naive: number, otherwise: Otherwise): void {
    const expected = this.combine(byCandidate)
    const told = this.intervals.of(expected, () => otherwise(expected, this.ahead))
    this.#pending.push({ byCandidate, expected, told, naive })
  }

  /** The bucket that was spoken of so long ago has come; below 0 = it is not known. */
  judge(value: number): void {
    if (this.#pending.length < this.ahead) return
    const pending = this.#pending.shift()
    if (pending === undefined || value < 0) return
    for (const [index, said] of pending.byCandidate.entries()) {
      const off = Math.abs(value - Math.max(0, said))
      this.#errors[index] = this.#errors[index]! * FORGET + off
    }
    const { expected, told, naive } = pending
    this.intervals.judge(expected, told, value)
    this.error += Math.abs(value - expected)
    this.naiveError += Math.abs(value - naive)
  }

  get quality(): Quality {
    const { ahead, error, naiveError } = this
    const { judged, inside } = this.intervals
    return { ahead, judged, inside, error, naiveError }
  }
}

/** How far all values so far lie apart. */
class Spread {
  #count = 0
  #sum = 0
  #squares = 0

  push(value: number): void {
    this.#count += 1
    this.#sum += value
    this.#squares += value * value
  }

  /** Two deviations to each side. */
  around(expected: number): Interval {
    const mean = this.#sum / Math.max(1, this.#count)
    const variance = this.#squares / Math.max(1, this.#count) - mean * mean
    const off = 2 * math.pow(Math.max(1, variance), 0.5)
    return { low: Math.max(0, expected - off), high: expected + off }
  }
}

export class Walk {
  readonly #family = candidates()
  readonly #distances = DISTANCES.map((ahead) => new Distance(ahead, this.#family.all.length))
  readonly #values: number[] = []
  readonly #spread = new Spread()
  #season = new Season(0)
  #naive = 0

  /** The next bucket; below 0 = it is not known. */
  push(value: number): void {
    for (const distance of this.#distances) distance.judge(value)
    this.#take(value)
    this.#values.push(value)
    if (this.#values.length % SEASON_EVERY === 0) this.#lookForSeason()
    for (const distance of this.#distances) {
      distance.say(this.#saidFor(distance.ahead), this.#naive, this.#otherwise)
    }
  }

  #take(value: number): void {
    const bucket = this.#values.length
    const { all, level } = this.#family
    if (value < 0) {
      for (const candidate of all) candidate.skip()
      return
    }
    this.#naive = value
    this.#spread.push(value)
    const season = this.#season.at(bucket)
    for (const candidate of all) candidate.push(value, season)
    this.#season.push(bucket, value - level.level)
  }

  /** Seasonal candidates begin anew with another season: with all that was before. */
  #lookForSeason(): void {
    const length = seasonOf(this.#values)
    if (length === this.#season.length) return
    const season = new Season(length)
    // Over the mean of a whole season around each value.
    const sums = prefixSums(this.#values)
    for (const [at, value] of this.#values.entries()) {
      const from = Math.max(0, at - (length >> 1))
      const to = Math.min(this.#values.length, from + length)
      const mean = length === 0 ? 0 : (sums[to]! - sums[from]!) / (to - from)
      if (value >= 0) season.push(at, value - mean)
    }
    this.#season = season
  }

  #saidFor(ahead: number): readonly number[] {
    const bucket = this.#values.length - 1 + ahead
    const adds = this.#season.at(bucket)
    const said = (candidate: Candidate): number =>
      candidate.ahead(ahead) + (candidate.seasonal ? adds : 0)
    return this.#family.all.map(said)
  }

  /** What is expected in so many buckets. */
  ahead(buckets: number): Told {
    // Judged at the nearest distance that is not nearer.
    const distance =
      this.#distances.find(({ ahead }) => ahead >= buckets) ?? this.#distances.at(-1)!
    const expected = distance.combine(this.#saidFor(buckets))
    const { low, high } = distance.intervals.of(expected, () => this.#otherwise(expected, buckets))
    return { expected, low, high }
  }

  /** By the next nearer distance that has errors, as a random walk widens; else by all values. */
  readonly #otherwise: Otherwise = (expected, ahead) => {
    const nearer = this.#distances.findLast(
      (distance) => distance.ahead < ahead && distance.intervals.isReady,
    )
    if (nearer === undefined) return this.#spread.around(expected)
    const { low, high } = nearer.intervals.of(expected, () => this.#spread.around(expected))
    const wider = math.pow(ahead / nearer.ahead, 0.5)
    return {
      low: Math.max(0, expected - (expected - low) * wider),
      high: expected + (high - expected) * wider,
    }
  }

  get level(): number {
    return this.#family.level.level
  }

  get trend(): number {
    return this.#family.level.trend
  }

  /** Buckets; 0 = none. */
  get season(): number {
    return this.#season.length
  }

  get quality(): readonly Quality[] {
    return this.#distances.map(({ quality }) => quality)
  }
}

function prefixSums(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1)
  for (const [at, value] of values.entries()) sums[at + 1] = sums[at]! + Math.max(0, value)
  return sums
}
