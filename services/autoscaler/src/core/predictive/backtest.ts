import { BUCKETS, bucketOf } from './curve.ts'
import type { Estimates, History } from './demand.ts'
import { type Course, follow, RULES } from './rules.ts'

/** What every rule is tried against. */
export interface Trial {
  readonly history: History
  readonly estimates: Estimates
  readonly stepMs: number
  /** First step that counts. */
  readonly from: number
  /** A start-up, in steps: the quantile that is reckoned with. */
  readonly startupSteps: number
  readonly safeWorkPerS: number
  /** Load of a replica that works as fast as it can, in shares of the safe load. */
  readonly fullShare: number
  /** By clause, by bucket of load: share of requests that miss it. */
  readonly missShares: readonly (readonly number[])[]
  readonly least: number
  readonly most: number
}

/** How a rule would have done. */
export interface TrialResult {
  /** Replicas that it asked for, summed over the steps. */
  readonly replicaSteps: number
  /** By clause: share of requests that would have missed it. */
  readonly missed: readonly number[]
}

/** Demand that waits is felt as if it came within so long. */
const BACKLOG_MS = 10_000

/** Loads up to so many times the safe one are looked up; a step is 1/32 of it. */
const TABLE_MAX = 16
const TABLE_STEPS = 32
const TABLE = Uint8Array.from({ length: TABLE_MAX * TABLE_STEPS + 1 }, (_, index) =>
  bucketOf(index / TABLE_STEPS),
)

/** Bucket of a load, in shares of the safe one; by a table. */
export function quickBucketOf(share: number): number {
  const index = Math.ceil(share * TABLE_STEPS)
  return index <= TABLE_MAX * TABLE_STEPS ? TABLE[index]! : BUCKETS - 1
}

/** Load of a replica, in shares of the safe one: what arrives and what waits. */
export function shareOf(load: {
  readonly feltPerS: number
  readonly backlog: number
  readonly ready: number
  readonly safeWorkPerS: number
}): number {
  const perS = load.feltPerS + (load.backlog * 1_000) / BACKLOG_MS
  return perS / (Math.max(load.ready, 1e-3) * load.safeWorkPerS)
}

/** Weight of the newest step in the load that requests feel over their life. */
const LIFE_WEIGHT = 0.3

/** Load over the life of the requests that end now. */
export function lifeLoad(before: number, now: number): number {
  return before + LIFE_WEIGHT * (now - before)
}

/** What waits after a step, were demand a fluid. */
export function backlogAfter(backlog: number, work: number, served: number): number {
  return Math.max(0, backlog + work - served)
}

/** Replicas that a demand needs under a rule. */
export function needOf(
  rule: { readonly loadPct: number; readonly peakPct: number },
  demand: { readonly expected: number; readonly peak: number },
  safeWorkPerS: number,
): number {
  const perReplica = (safeWorkPerS * rule.loadPct) / 100
  return Math.ceil(Math.max(demand.expected, (demand.peak * rule.peakPct) / 100) / perReplica)
}

/** Replicas that start: how many become ready when. */
class Starting {
  readonly #at: number[] = []
  readonly #count: number[] = []
  #from = 0

  push(at: number, count: number): void {
    this.#at.push(at)
    this.#count.push(count)
  }

  /** How many are ready by now. */
  due(now: number): number {
    let ready = 0
    while (this.#from < this.#at.length && this.#at[this.#from]! <= now) {
      ready += this.#count[this.#from]!
      this.#from += 1
    }
    return ready
  }

  /** Takes back up to `count`, the youngest first; returns how many. */
  cancel(count: number): number {
    let left = count
    for (let index = this.#at.length - 1; index >= this.#from && left > 0; index -= 1) {
      const taken = Math.min(left, this.#count[index]!)
      this.#count[index]! -= taken
      left -= taken
    }
    return count - left
  }
}

/** Tries a rule on what was: demand as a fluid, start-ups as long as they are reckoned with. */
export function tryRule(ruleIndex: number, trial: Trial, costMax: number): TrialResult {
  const rule = RULES[ruleIndex]!
  const { history, estimates, stepMs, safeWorkPerS, missShares, least, most } = trial
  const expected = estimates.byEstimator[rule.estimator]!
  const { peak, felt, byEstimator } = estimates
  const gate = byEstimator[1]!
  const keepSteps = Math.round(rule.keepMs / stepMs)
  const perStep = (trial.fullShare * safeWorkPerS * stepMs) / 1_000
  const missed = missShares.map(() => 0)
  const bound = (need: number) => Math.min(Math.max(need, least), most)
  const demandAt = (at: number) => ({ expected: expected[at]!, peak: peak[at]! })
  const first = bound(needOf(rule, demandAt(trial.from), safeWorkPerS))
  let course: Course = {
    wanted: first,
    changedAt: trial.from - trial.startupSteps,
    changedFor: gate[trial.from]!,
    lessSince: -1,
    mostSince: 0,
  }
  const starting = new Starting()
  let ready = first
  let pending = 0
  let backlog = 0
  let replicaSteps = 0
  let total = 0
  let load = 0
  for (let at = trial.from; at < history.length; at += 1) {
    const need = bound(needOf(rule, demandAt(at), safeWorkPerS))
    const { startupSteps } = trial
    const next = follow(course, { at, need, demand: gate[at]!, keepSteps, startupSteps })
    if (next.wanted > course.wanted) {
      starting.push(at + startupSteps, next.wanted - course.wanted)
      pending += next.wanted - course.wanted
    } else if (next.wanted < course.wanted) {
      const gone = course.wanted - next.wanted
      const cancelled = starting.cancel(gone)
      pending -= cancelled
      ready -= gone - cancelled
    }
    course = next
    const came = starting.due(at)
    ready += came
    pending -= came
    replicaSteps += ready + pending
    if (replicaSteps > costMax) return { replicaSteps, missed: missed.map(() => 1) }
    const work = Math.max(0, history[at]!)
    backlog = backlogAfter(backlog, work, ready * perStep)
    load = lifeLoad(load, shareOf({ feltPerS: felt[at]!, backlog, ready, safeWorkPerS }))
    if (work === 0) continue
    const bucket = quickBucketOf(load)
    total += work
    for (let clause = 0; clause < missed.length; clause += 1) {
      missed[clause]! += work * missShares[clause]![bucket]!
    }
  }
  return { replicaSteps, missed: missed.map((sum) => (total === 0 ? 0 : sum / total)) }
}
