/**
 * Burn rates by the closed formulas of the SRE workbook (chapter 5): a rule that alerts when the
 * share f of the error budget of the window W burns within the long window L fires at the burn rate
 * f × W / L, in the long and in the short window; the burn rate is bad / events / (1 − target).
 * 2 %/1 h, 5 %/6 h, 10 %/1 d, 10 %/3 d of 30 days are 14.4, 6, 3 and 1. All comparisons are exact.
 */
import { type ObjectivePromise, type RuleWish, type WindowCounts } from './model.ts'

const PPM = 1_000_000n

type Promise = Pick<ObjectivePromise, 'targetPpm' | 'windowMs'>
type Rule = Pick<RuleWish, 'budgetPpm' | 'longMs'>

/**
 * True when a window burns at or above the rule's rate: bad × 10⁶ × 10⁶ × L ≥ events × (10⁶ −
 * target) × f × W.
 */
export function burnsAt(promise: Promise, rule: Rule, { events, bad }: WindowCounts): boolean {
  if (bad === 0) return false
  const left = BigInt(bad) * PPM * PPM * BigInt(rule.longMs)
  const allowed = BigInt(events) * (PPM - BigInt(promise.targetPpm))
  return left >= allowed * BigInt(rule.budgetPpm) * BigInt(promise.windowMs)
}

/** Fewest bad ones of `events` that burn at the rule's rate. */
export function badAt(promise: Promise, rule: Rule, events: number): number {
  const wide = BigInt(events) * (PPM - BigInt(promise.targetPpm)) * BigInt(rule.budgetPpm)
  const above = wide * BigInt(promise.windowMs)
  const below = PPM * PPM * BigInt(rule.longMs)
  return Math.max(1, Number((above + below - 1n) / below))
}

/** Burn rate of a window, thousandths, rounded down; undefined without events. */
export function burnMilli(targetPpm: number, { events, bad }: WindowCounts): number | undefined {
  if (events === 0) return undefined
  return Number((BigInt(bad) * PPM * 1_000n) / (BigInt(events) * (PPM - BigInt(targetPpm))))
}

/** Burn rate at which a rule alerts, thousandths, rounded up. */
export function thresholdMilli(promise: Promise, rule: Rule): number {
  const above = BigInt(rule.budgetPpm) * BigInt(promise.windowMs) * 1_000n
  const below = PPM * BigInt(rule.longMs)
  return Number((above + below - 1n) / below)
}

/** Highest burn rate there is, everything bad, thousandths. */
export const highestMilli = (targetPpm: number): number =>
  Math.floor(1_000_000_000 / (1_000_000 - targetPpm))

/** From the beginning of a total outage at steady traffic until a rule alerts, ms, rounded up. */
export function outageDetectionMs(promise: Promise, rule: Rule): number {
  const share = (PPM - BigInt(promise.targetPpm)) * BigInt(rule.budgetPpm)
  const below = PPM * PPM
  return Number((share * BigInt(promise.windowMs) + below - 1n) / below)
}

/** What is left of the error budget, parts per million; undefined without events. */
export function budgetLeftPpm(targetPpm: number, counts: WindowCounts): number | undefined {
  const burn = burnMilli(targetPpm, counts)
  if (burn === undefined) return undefined
  const spent =
    (BigInt(counts.bad) * PPM * PPM) / (BigInt(counts.events) * (PPM - BigInt(targetPpm)))
  return Number(PPM - spent)
}
