/** What may be declared, and what its rules come to. */
import { type Refused, refuse } from '@serverless-ai/kernel'
import { badAt, highestMilli, outageDetectionMs, thresholdMilli } from './burn.ts'
import {
  type BurnRule,
  DAY_MS,
  INTERVAL_MS,
  isJobIndicator,
  MAX_MAINTENANCE,
  MAX_RULES,
  MAX_STEPS,
  MINUTE_MS,
  type ObjectiveWatch,
  type ObjectiveWish,
  type RuleWish,
} from './model.ts'
import { binomialTail, falseAlerts, MIN_BAD_MAX, minBadOf } from './power.ts'
import { bucketFor } from './ring.ts'

const HOUR_MS = 3_600_000
const WINDOW_MIN_MS = 10 * MINUTE_MS
const WINDOW_MAX_MS = 90 * DAY_MS
const TARGET_MIN_PPM = 500_000
const TARGET_MAX_PPM = 999_999
const SAMPLE_MAX = 1_000_000
const THRESHOLD_MAX_US = 366 * DAY_MS * 1_000
const STEP_AFTER_MAX_MS = 7 * DAY_MS
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** A ticket does not come from a single bad event. */
const TICKET_MIN_BAD = 2
const TEXT_MAX = 200

/** The rules of the SRE workbook, as shares of the window. */
const DEFAULT_RULES = [
  { severity: 'page', budgetPpm: 20_000, share: 720 },
  { severity: 'page', budgetPpm: 50_000, share: 120 },
  { severity: 'ticket', budgetPpm: 100_000, share: 30 },
  { severity: 'ticket', budgetPpm: 100_000, share: 10 },
] as const

const bad = (field: string, more: Record<string, string | number> = {}): Refused =>
  refuse('INVALID_OBJECTIVE', { field, ...more })

const outside = (field: string, value: number, [min, max]: readonly [number, number]) =>
  Number.isSafeInteger(value) && value >= min && value <= max
    ? undefined
    : bad(field, { value, min, max })

const up = (ms: number, step: number): number => Math.max(1, Math.ceil(ms / step)) * step

/** The rules that hold when none are named; windows below one interval are left out. */
export function defaultRules(windowMs: number): readonly RuleWish[] {
  return DEFAULT_RULES.filter(({ share }) => windowMs / share >= INTERVAL_MS).map(
    ({ severity, budgetPpm, share }) => {
      const longMs = Math.ceil(windowMs / share)
      return { severity, budgetPpm, longMs, shortMs: 0 }
    },
  )
}

function checkScope(wish: ObjectiveWish): Refused | undefined {
  if (!NAME.test(wish.name)) return bad('name')
  for (const field of ['tenant', 'service', 'class', 'queue'] as const) {
    if (wish[field].length > TEXT_MAX) return bad(field, { max: TEXT_MAX })
  }
  if (isJobIndicator(wish.indicator) ? wish.class !== '' : wish.queue !== '') {
    return bad(isJobIndicator(wish.indicator) ? 'class' : 'queue')
  }
  return undefined
}

function checkNumbers(wish: ObjectiveWish): Refused | undefined {
  const threshold: readonly [number, number] =
    wish.indicator === 'availability' ? [0, 0] : [1, THRESHOLD_MAX_US]
  if (wish.windowMs % INTERVAL_MS !== 0) {
    return bad('windowMs', { value: wish.windowMs, multipleOf: INTERVAL_MS })
  }
  return (
    outside('targetPpm', wish.targetPpm, [TARGET_MIN_PPM, TARGET_MAX_PPM]) ??
    outside('thresholdUs', wish.thresholdUs, threshold) ??
    outside('windowMs', wish.windowMs, [WINDOW_MIN_MS, WINDOW_MAX_MS]) ??
    outside('minSample', wish.minSample, [1, SAMPLE_MAX]) ??
    outside('expectedPerHour', wish.expectedPerHour, [0, 1_000_000_000]) ??
    outside('rules', wish.rules.length, [0, MAX_RULES]) ??
    outside('actions', wish.actions.length, [0, MAX_STEPS]) ??
    outside('maintenance', wish.maintenance.length, [0, MAX_MAINTENANCE])
  )
}

function checkLists(wish: ObjectiveWish, atMs: number, kept: ObjectiveWatch['maintenance']) {
  for (const { severity, afterMs, action, class: name } of wish.actions) {
    const wrong = outside('actions.afterMs', afterMs, [0, STEP_AFTER_MAX_MS])
    if (wrong !== undefined) return wrong
    if (name.length > TEXT_MAX) return bad('actions.class', { max: TEXT_MAX })
    if (action === 'shed' && name === '') return bad('actions.class', { severity })
  }
  for (const one of wish.maintenance) {
    const { fromMs, untilMs, reason } = one
    if (!(untilMs > fromMs)) return bad('maintenance.untilMs', { value: untilMs, min: fromMs + 1 })
    if (reason.length > TEXT_MAX) return bad('maintenance.reason', { max: TEXT_MAX })
    const known = kept.some((other) => other.fromMs === fromMs && other.untilMs === untilMs)
    // What was counted stays counted: nobody excuses the past.
    if (!known && fromMs < atMs) return bad('maintenance.fromMs', { value: fromMs, min: atMs })
  }
  return undefined
}

/** A rule with windows in whole intervals, and its numbers. */
function ruleOf(wish: ObjectiveWish, asked: RuleWish): BurnRule {
  const bucketMs = bucketFor(asked.longMs, INTERVAL_MS)
  const longMs = up(asked.longMs, bucketMs)
  const shortMs = up(asked.shortMs === 0 ? asked.longMs / 12 : asked.shortMs, bucketMs)
  const rule = { severity: asked.severity, budgetPpm: asked.budgetPpm, longMs, shortMs }
  const factor = (asked.budgetPpm / 1e6) * (wish.windowMs / longMs)
  const isPage = asked.severity === 'page'
  const minBad = isPage ? minBadOf(factor, longMs) : TICKET_MIN_BAD
  const least = Math.max(wish.minSample, minBad)
  const share = Math.min(1, 2 * factor * (1 - wish.targetPpm / 1e6))
  const needed = Math.max(minBad, badAt(wish, rule, wish.minSample))
  return {
    ...rule,
    bucketMs,
    burnMilli: thresholdMilli(wish, rule),
    minBad,
    falseAlertsMicro: isPage ? Math.ceil(falseAlerts(minBad, factor, longMs) * 1e6) : 0,
    minRatePerHour: Math.ceil((least * HOUR_MS) / longMs),
    outageDetectionMs: outageDetectionMs(wish, rule),
    powerMicro: Math.floor(binomialTail(wish.minSample, share, needed) * 1e6),
  }
}

function cannotFire(
  index: number,
  rule: BurnRule,
  why: string,
  numbers: Record<string, number>,
): Refused {
  const { severity, budgetPpm, longMs, burnMilli } = rule
  const named = { rule: index, severity, budgetPpm, longMs, burnMilli }
  return refuse('ALERT_CANNOT_FIRE', { why, ...named, ...numbers })
}

/** Why a rule can never fire, with the mend; undefined = it can. */
function hindrance(wish: ObjectiveWish, rule: BurnRule, index: number): Refused | undefined {
  const { burnMilli, longMs, budgetPpm } = rule
  const highest = highestMilli(wish.targetPpm)
  if (burnMilli > highest) {
    // The least target and the largest share of the budget at which everything bad just alerts.
    const minTargetPpm = Math.ceil(1e6 - 1e9 / burnMilli)
    const maxBudgetPpm = Math.floor((highest * longMs * 1_000) / wish.windowMs)
    return cannotFire(index, rule, 'TARGET_TOO_LOW', { highest, minTargetPpm, maxBudgetPpm })
  }
  if (burnMilli < 1_000) {
    const minBudgetPpm = Math.ceil((longMs * 1e6) / wish.windowMs)
    return cannotFire(index, rule, 'BELOW_BUDGET', { minBudgetPpm })
  }
  if (rule.severity === 'page' && rule.minBad >= MIN_BAD_MAX) {
    return cannotFire(index, rule, 'LIKE_CHANCE', { minBad: rule.minBad, maxBudgetPpm: budgetPpm })
  }
  const { expectedPerHour } = wish
  if (expectedPerHour > 0 && expectedPerHour < rule.minRatePerHour) {
    const least = Math.max(wish.minSample, rule.minBad)
    const minLongMs = Math.ceil((least * HOUR_MS) / expectedPerHour)
    const { minRatePerHour, minBad } = rule
    const { minSample } = wish
    const numbers = { expectedPerHour, minRatePerHour, minSample, minBad, minLongMs }
    return cannotFire(index, rule, 'WINDOW_TOO_SHORT', numbers)
  }
  return undefined
}

function rulesOf(wish: ObjectiveWish): Refused | readonly BurnRule[] {
  const asked = wish.rules.length === 0 ? defaultRules(wish.windowMs) : wish.rules
  const rules: BurnRule[] = []
  for (const [index, one] of asked.entries()) {
    const wrong =
      outside('rules.budgetPpm', one.budgetPpm, [1, 1_000_000]) ??
      outside('rules.longWindowMs', one.longMs, [INTERVAL_MS, wish.windowMs]) ??
      outside('rules.shortWindowMs', one.shortMs, [0, one.longMs])
    if (wrong !== undefined) return wrong
    const rule = ruleOf(wish, one)
    if (rule.longMs > wish.windowMs) {
      return bad('rules.longWindowMs', { value: rule.longMs, min: INTERVAL_MS, max: wish.windowMs })
    }
    const hindered = hindrance(wish, rule, index)
    if (hindered !== undefined) return hindered
    rules.push(rule)
  }
  return rules
}

/** Checks an objective; its rules with what they come to, or why it is refused. */
export function resolveObjective(
  wish: ObjectiveWish,
  atMs: number,
  kept: ObjectiveWatch['maintenance'] = [],
): Refused | { readonly accepted: true; readonly rules: readonly BurnRule[] } {
  const refused = checkScope(wish) ?? checkNumbers(wish) ?? checkLists(wish, atMs, kept)
  if (refused !== undefined) return refused
  const rules = rulesOf(wish)
  return 'accepted' in rules ? rules : { accepted: true, rules }
}
