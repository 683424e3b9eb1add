import type { Choice } from './choose.ts'
import { type Curve, emptyCurve } from './curve.ts'
import { type Course, SAFE_RULE } from './rules.ts'

/** What the predictive policy remembers: plain JSON, whole numbers. */
export interface PredictiveState {
  /** Null: no step yet. */
  readonly lastMs: number | null
  /** Steps so far; the last of the history is this one. */
  readonly step: number
  /** Work that arrived, by step, oldest first; -1: not known. */
  readonly history: readonly number[]
  /** Output tokens of a request, on average, in thousandths; -1: none ended yet. */
  readonly outputMilli: number
  readonly curve: Curve
  /** Requests that ended, and by clause those that missed it; fading. In thousandths. */
  readonly realized: { readonly finished: number; readonly missed: readonly number[] }
  /** By clause: the part of what may be missed that rules may plan with, in percent. */
  readonly marginPct: readonly number[]
  /** Newest start-up times, in milliseconds. */
  readonly startupsMs: readonly number[]
  /** Load of a replica that ending requests saw, in shares of the safe one, in thousandths. */
  readonly loadMilli: number
  readonly backlog: number
  /** Step since which loads say nothing: a replica is new or gone. -1: they do. */
  readonly coldUntil: number
  readonly ready: number
  readonly course: Course
  /** Step at which it came up from zero last: what was before is no peak to provide for. */
  readonly wokeAt?: number
  readonly rule: number
  readonly choice: Choice | null
  readonly tunedMs: number
  readonly seasonSteps: number
  /** Clauses that more replicas do not help. */
  readonly unreachable: readonly number[]
  /** When a request came, was held or was inside last; when one came last. */
  readonly busyMs: number
  readonly cameMs: number
  /** Since when requests are held beside idle replicas, and how many: a fault of the gauge. */
  readonly stuckHeld: { readonly sinceMs: number; readonly requests: number } | null
}

export function initialState(clauses: number): PredictiveState {
  return {
    lastMs: null,
    step: 0,
    history: [],
    outputMilli: -1,
    curve: emptyCurve(clauses),
    realized: { finished: 0, missed: Array.from({ length: clauses }, () => 0) },
    marginPct: Array.from({ length: clauses }, () => 60),
    startupsMs: [],
    loadMilli: 0,
    backlog: 0,
    coldUntil: -1,
    ready: -1,
    course: { wanted: 0, changedAt: -1_000_000, changedFor: 0, lessSince: -1, mostSince: 0 },
    rule: SAFE_RULE,
    choice: null,
    tunedMs: 0,
    seasonSteps: 0,
    unreachable: [],
    busyMs: 0,
    cameMs: 0,
    stuckHeld: null,
  }
}
