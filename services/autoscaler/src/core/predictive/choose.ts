import { type Trial, type TrialResult, tryRule } from './backtest.ts'
import { RULES, SAFE_RULE } from './rules.ts'

/** A rule that was tried: what it would have cost and missed. Whole numbers. */
export interface Tried {
  readonly rule: number
  /** Replicas on average, in thousandths. */
  readonly meanReplicasMilli: number
  /** The clause that comes nearest to what it may miss, and its share in millionths. */
  readonly worstClause: number
  readonly worstMissPpm: number
  /** What that clause may miss at most, with the margin. */
  readonly allowedPpm: number
}

/** What came of trying all rules. */
export interface Choice {
  readonly chosen: Tried
  /** Cheapest that would have missed the objective; the next dearer that would not. */
  readonly cheaper: Tried | null
  readonly dearer: Tried | null
}

/** A rule stays unless another saves so much of its cost, in percent. */
const STAY_PCT = 3
/** Rules are not tried to their end when they cost so many times as much as the best so far. */
const DEAR = 1.3

function told(rule: number, result: TrialResult, trial: Trial, allowed: readonly number[]): Tried {
  let worstClause = 0
  let worst = -1
  result.missed.forEach((share, clause) => {
    const ratio = share / Math.max(1e-9, allowed[clause]!)
    if (ratio > worst) {
      worst = ratio
      worstClause = clause
    }
  })
  const steps = Math.max(1, trial.history.length - trial.from)
  return {
    rule,
    meanReplicasMilli: Math.round((result.replicaSteps * 1_000) / steps),
    worstClause,
    worstMissPpm: Math.round((result.missed[worstClause] ?? 0) * 1_000_000),
    allowedPpm: Math.round((allowed[worstClause] ?? 1) * 1_000_000),
  }
}

const ratioOf = (tried: Tried): number => tried.worstMissPpm / Math.max(1, tried.allowedPpm)

/**
 * Chooses the cheapest rule that would have kept every clause on what was; when none would, the
 * one that would have missed least. `allowed`: by clause, what may be missed (share of 1).
 */
export function chooseRule(trial: Trial, allowed: readonly number[], current: number): Choice {
  const steps = trial.history.length - trial.from
  const costMax = steps * trial.most + 1
  const now = told(current, tryRule(current, trial, costMax), trial, allowed)
  let best: Tried | null = ratioOf(now) <= 1 ? now : null
  let least = now
  let cheaper: Tried | null = null
  let dearer: Tried | null = null
  for (let rule = 0; rule < RULES.length; rule += 1) {
    if (rule === current) continue
    const bound =
      best === null ? costMax : Math.ceil((best.meanReplicasMilli * steps * DEAR) / 1_000)
    const result = tryRule(rule, trial, bound)
    if (result.replicaSteps > bound) continue
    const tried = told(rule, result, trial, allowed)
    const cost = tried.meanReplicasMilli
    if (ratioOf(tried) <= 1) {
      if (best === null || cost < best.meanReplicasMilli) {
        dearer = best ?? dearer
        best = tried
      } else if (dearer === null || cost < dearer.meanReplicasMilli) dearer = tried
    } else {
      if (cheaper === null || cost < cheaper.meanReplicasMilli) cheaper = tried
      const sameButCheaper = ratioOf(tried) === ratioOf(least) && cost < least.meanReplicasMilli
      if (ratioOf(tried) < ratioOf(least) || sameButCheaper) least = tried
    }
  }
  if (best === null) {
    const safe = told(SAFE_RULE, tryRule(SAFE_RULE, trial, costMax), trial, allowed)
    return { chosen: ratioOf(safe) <= ratioOf(least) ? safe : least, cheaper, dearer }
  }
  const stays =
    ratioOf(now) <= 1 && best.meanReplicasMilli * 100 > now.meanReplicasMilli * (100 - STAY_PCT)
  return { chosen: stays ? now : best, cheaper, dearer: stays ? dearer : (dearer ?? now) }
}
