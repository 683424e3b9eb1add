import { math } from '@serverless-ai/kernel'

/** How the demand of the next moments is told from the past. */
export interface Estimator {
  /** After so long a value weighs half. */
  readonly halfLifeMs: number
  /** Whether the trend goes on until a replica that is started now is ready. */
  readonly trend: boolean
  /** Whether what was one season ago comes again. */
  readonly season: boolean
}

/** A rule: which demand is expected, how full replicas are, how long they are kept. */
export interface Rule {
  readonly estimator: number
  /** Load of a replica that is aimed at, in percent of the safe one. */
  readonly loadPct: number
  /** A need has to have been lower for so long before replicas go. */
  readonly keepMs: number
  /** Never fewer than for so much of the highest demand in memory, in percent. */
  readonly peakPct: number
}

export const ESTIMATORS: readonly Estimator[] = [
  { halfLifeMs: 4_000, trend: false, season: false },
  { halfLifeMs: 15_000, trend: false, season: false },
  { halfLifeMs: 60_000, trend: false, season: false },
  { halfLifeMs: 180_000, trend: true, season: false },
  { halfLifeMs: 15_000, trend: false, season: true },
]

const LOADS_PCT = [50, 60, 70, 80, 100, 119, 141, 168, 200, 238, 283, 336, 400, 476, 566, 673]
const KEEPS_MS = [20_000, 240_000]
const PEAKS_PCT = [0, 50, 80, 100]

/** Every rule; the order is part of the state's meaning. */
export const RULES: readonly Rule[] = ESTIMATORS.flatMap((_, estimator) =>
  PEAKS_PCT.flatMap((peakPct) =>
    KEEPS_MS.flatMap((keepMs) =>
      LOADS_PCT.map((loadPct) => ({ estimator, loadPct, keepMs, peakPct })),
    ),
  ),
)

/** Before anything is known: the highest demand so far, at the safe load. */
export const SAFE_RULE = RULES.findIndex(
  ({ estimator, loadPct, keepMs, peakPct }) =>
    estimator === 1 && loadPct === 80 && keepMs === 240_000 && peakPct === 100,
)

/** Weight of a new value for a half-life. */
export function weightOf(halfLifeMs: number, stepMs: number): number {
  return 1 - math.pow(0.5, stepMs / halfLifeMs)
}

/** A rule under way. Whole numbers. */
export interface Course {
  readonly wanted: number
  /** When it changed last, in steps. */
  readonly changedAt: number
  /** Demand at the last change: what was expected, in work a second. */
  readonly changedFor: number
  /** Since when less was needed, in steps; -1: not less. */
  readonly lessSince: number
  /** The most that was needed since. */
  readonly mostSince: number
}

/** Demand has to differ by so much before a change may follow the last one at once, in percent. */
const MOVED_PCT = 10

/** What {@link follow} needs beside the course. */
export interface Moment {
  /** Now, in steps. */
  readonly at: number
  readonly need: number
  /** Demand that the need is for, in work a second. */
  readonly demand: number
  readonly keepSteps: number
  /** A start-up, in steps. */
  readonly startupSteps: number
}

const calm = (course: Course): Course =>
  course.lessSince === -1 ? course : { ...course, lessSince: -1, mostSince: 0 }

/**
 * The next of a course: more at once, unless a change was within a start-up and demand has not
 * moved since; less after the need was less for long enough, and not within a start-up of the
 * last change. So constant demand changes it once in a start-up at most.
 */
export function follow(course: Course, moment: Moment): Course {
  const { at, need, demand, keepSteps, startupSteps } = moment
  const settling = at - course.changedAt < startupSteps
  if (need > course.wanted) {
    const moved = demand * 100 > course.changedFor * (100 + MOVED_PCT)
    if (settling && !moved) return calm(course)
    return { wanted: need, changedAt: at, changedFor: demand, lessSince: -1, mostSince: 0 }
  }
  if (need === course.wanted) return calm(course)
  const lessSince = course.lessSince === -1 ? at : course.lessSince
  const mostSince = Math.max(course.mostSince, need)
  if (settling || at - lessSince < keepSteps) {
    const same = lessSince === course.lessSince && mostSince === course.mostSince
    return same ? course : { ...course, lessSince, mostSince }
  }
  return { wanted: mostSince, changedAt: at, changedFor: demand, lessSince: -1, mostSince: 0 }
}
