/** A value that was measured, and how long ago. */
export interface Reading<T> {
  readonly value: T
  /** Milliseconds since it was measured; below 0 it claims to be from the future. */
  readonly ageMs: number
}

/** `undefined`: unknown. Never 0 in its place. */
export type Maybe<T> = Reading<T> | undefined

/** What came to the gate since the observation before. */
export interface Arrivals {
  readonly requests: number
  readonly inputTokens: number
}

/** What is held at the gate now: it could not be given to a replica. */
export interface Held {
  readonly requests: number
  readonly inputTokens: number
}

/** How requests that ended since the observation before did. */
export interface Outcomes {
  readonly finished: number
  readonly outputTokens: number
  /** By clause of the objective: how many of them were outside it. */
  readonly missed: readonly number[]
}

/** Load that is expected, by somebody who knows more: at most so much a second until a time. */
export interface ExpectedLoad {
  readonly horizonMs: number
  readonly requestsPerS: number
  readonly inputTokensPerS: number
}

/** The replicas, as the scheduler and the pool tell it. */
export interface Replicas {
  readonly ready: number
  readonly draining: number
  /** For how long each has been starting, in milliseconds. */
  readonly startingMs: readonly number[]
  /** Start-ups that ended since the observation before, in milliseconds. */
  readonly startupsMs: readonly number[]
}

/** Between what the number of replicas has to stay. */
export interface Limits {
  /** Never fewer; 0 allowed. */
  readonly floor: number
  /** Never more. */
  readonly ceiling: number
  /** Replicas that the device budget and the tenant's quota leave; unknown: no growth. */
  readonly budget: number | undefined
  readonly quota: number | undefined
}

/** All that a policy may know at a step. */
export interface Observation {
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs: number
  /**
   * Of the time since the observation before nothing came for so long, and that is known; absent:
   * what was not observed is not known.
   */
  readonly restMs?: number
  /** Replicas that are wanted at present, whoever set it. */
  readonly target: number
  readonly arrivals: Maybe<Arrivals>
  readonly held: Maybe<Held>
  /** Requests inside replicas. */
  readonly inFlight: Maybe<number>
  readonly outcomes: Maybe<Outcomes>
  readonly expected: Maybe<ExpectedLoad>
  readonly replicas: Maybe<Replicas>
  readonly limits: Limits
}

/** Largest count that is believed: past it a number is a fault of its source. */
const PLAUSIBLE_MAX = 1e12

const isCount = (value: number): boolean => value >= 0 && value <= PLAUSIBLE_MAX

function numbersOf(value: unknown): readonly number[] {
  if (typeof value === 'number') return [value]
  if (value === null || typeof value !== 'object') return [Number.NaN]
  return Object.values(value).flatMap(numbersOf)
}

/** Why a reading is not used. */
export type Unusable = 'UNKNOWN' | 'STALE' | 'FROM_THE_FUTURE' | 'ABSURD'

/** Why a reading may not be used; undefined: it may. */
export function whyUnusable(reading: Maybe<unknown>, maxAgeMs: number): Unusable | undefined {
  if (reading === undefined) return 'UNKNOWN'
  if (Number.isNaN(reading.ageMs)) return 'ABSURD'
  if (reading.ageMs < 0) return 'FROM_THE_FUTURE'
  if (reading.ageMs > maxAgeMs) return 'STALE'
  return numbersOf(reading.value).every(isCount) ? undefined : 'ABSURD'
}

/** The value of a reading that may be used. */
export function usable<T>(reading: Maybe<T>, maxAgeMs: number): T | undefined {
  return whyUnusable(reading, maxAgeMs) === undefined ? reading?.value : undefined
}
