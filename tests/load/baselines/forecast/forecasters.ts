import { type Told, Walk } from '@serverless-ai/resource-profiler/testing'
import { seasonLength } from './season.ts'

/** A forecast that is carried along a series. */
export interface Forecaster {
  push(value: number): void
  /** Of the bucket that is so many ahead, with a 90 % interval. */
  ahead(buckets: number): Told
}

/** 95 % quantile of the normal distribution: ends of a 90 % interval. */
const Z = 1.645

const interval = (expected: number, deviation: number): Told => ({
  expected: Math.max(0, expected),
  low: Math.max(0, expected - Z * deviation),
  high: Math.max(0, expected + Z * deviation),
})

/** The newest value again; its interval is that of a random walk (σ √h). */
export class Naive implements Forecaster {
  #value = 0
  #squares = 0
  #count = 0

  push(value: number): void {
    if (this.#count > 0) this.#squares += (value - this.#value) ** 2
    this.#count += 1
    this.#value = value
  }

  ahead(buckets: number): Told {
    const variance = this.#squares / Math.max(1, this.#count - 1)
    return interval(this.#value, Math.sqrt(variance * buckets))
  }
}

interface Weights {
  readonly level: number
  readonly trend: number
  readonly season: number
}

const GRID: readonly Weights[] = [0.05, 0.1, 0.2, 0.4, 0.7].flatMap((level) =>
  [0, 0.01, 0.05, 0.2].flatMap((trend) =>
    [0.05, 0.2, 0.5].map((season) => ({ level, trend, season })),
  ),
)

/** Additive Holt-Winters (Winters 1960) with fixed weights. */
class Smoothing {
  readonly #weights: Weights
  readonly #season: number[]
  #at = 0
  #level = 0
  #trend = 0
  squares = 0

  constructor(weights: Weights, first: readonly number[], season: number) {
    this.#weights = weights
    const mean = first.reduce((sum, value) => sum + value, 0) / Math.max(1, first.length)
    this.#level = mean
    this.#season = Array.from({ length: season }, (_, phase) => {
      const same = first.filter((_, index) => index % season === phase)
      return same.length === 0
        ? 0
        : same.reduce((sum, value) => sum + value, 0) / same.length - mean
    })
  }

  #addsAt(bucket: number): number {
    const { length } = this.#season
    return length === 0 ? 0 : (this.#season[bucket % length] ?? 0)
  }

  push(value: number): void {
    const { level: alpha, trend: beta, season: gamma } = this.#weights
    const adds = this.#addsAt(this.#at)
    const error = value - (this.#level + this.#trend + adds)
    this.squares += error * error
    const level = this.#level + this.#trend + alpha * error
    this.#trend += alpha * beta * error
    this.#level = level
    const { length } = this.#season
    if (length > 0) this.#season[this.#at % length] = adds + gamma * (1 - alpha) * error
    this.#at += 1
  }

  expected(buckets: number): number {
    return this.#level + this.#trend * buckets + this.#addsAt(this.#at + buckets - 1)
  }

  /** Variance so far ahead over that of one step (Hyndman et al. 2008, class 1, A-A-A). */
  growth(buckets: number): number {
    const { level: alpha, trend: beta, season: gamma } = this.#weights
    const { length } = this.#season
    let sum = 1
    for (let ahead = 1; ahead < buckets; ahead += 1) {
      const again = length > 0 && ahead % length === 0 ? gamma * (1 - alpha) : 0
      sum += (alpha * (1 + ahead * beta) + again) ** 2
    }
    return sum
  }
}

/**
 * Holt-Winters with the weights, from a grid, that fit the first part of a series best; with the
 * season that is found there, or none.
 */
export class HoltWinters implements Forecaster {
  readonly #smoothing: Smoothing
  #count = 0

  constructor(first: readonly number[]) {
    const season = seasonLength(first)
    let best: Smoothing | undefined
    for (const weights of GRID) {
      const one = new Smoothing(weights, first, season)
      for (const value of first) one.push(value)
      if (best === undefined || one.squares < best.squares) best = one
    }
    this.#smoothing = best!
    this.#count = first.length
  }

  push(value: number): void {
    this.#smoothing.push(value)
    this.#count += 1
  }

  ahead(buckets: number): Told {
    const variance = this.#smoothing.squares / Math.max(1, this.#count - 1)
    const deviation = Math.sqrt(variance * this.#smoothing.growth(buckets))
    return interval(this.#smoothing.expected(buckets), deviation)
  }
}

/** The mean of all so far, with its deviation. */
export class Mean implements Forecaster {
  #sum = 0
  #squares = 0
  #count = 0

  push(value: number): void {
    this.#sum += value
    this.#squares += value * value
    this.#count += 1
  }

  ahead(): Told {
    const count = Math.max(1, this.#count)
    const mean = this.#sum / count
    return interval(mean, Math.sqrt(Math.max(0, this.#squares / count - mean * mean)))
  }
}

/** The forecast of the resource profiler. */
export const ours = (): Forecaster => new Walk()
