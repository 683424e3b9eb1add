/**
 * How sure an alert of few events is. Bad events of a service exactly at its target come as a
 * Poisson process; a rule that needs at least k bad events in its long window, and the share of
 * its burn rate r = factor × (1 − target), is most easily fooled at the traffic at which k bad
 * ones are just that share. The rate at which some window of length L holds k of them is at most
 * λ × P(Poisson(λ L) ≥ k − 1): each alert begins with a bad event that finds k − 1 others in the
 * L behind it.
 */
import { math } from '@serverless-ai/kernel'

/** Days that the bound of false alerts is for. */
const BOUND_DAYS = 100
const DAY_MS = 86_400_000
/** Bad events that no rule waits for. */
export const MIN_BAD_MAX = 1_000

/** P(Poisson(mean) ≥ k). */
export function poissonTail(mean: number, k: number): number {
  if (k <= 0) return 1
  if (mean <= 0) return 0
  let term = math.exp(-mean)
  let below = term
  for (let i = 1; i < k; i += 1) {
    term *= mean / i
    below += term
  }
  // What is left is small where it matters: sum the tail itself.
  if (below < 0.5) return 1 - below
  let tail = 0
  term *= mean / k
  for (let i = k; term > 0 && i < k + 200; i += 1) {
    tail += term
    term *= mean / (i + 1)
  }
  return tail
}

/** P(Binomial(n, p) ≥ k). */
export function binomialTail(n: number, p: number, k: number): number {
  if (k <= 0) return 1
  if (k > n) return 0
  if (p >= 1) return 1
  const [logP, logQ] = [math.log(p), math.log(1 - p)]
  let logChoose = 0
  let below = 0
  for (let i = 0; i < k; i += 1) {
    below += math.exp(logChoose + i * logP + (n - i) * logQ)
    logChoose += math.log((n - i) / (i + 1))
  }
  return Math.min(1, Math.max(0, 1 - below))
}

/**
 * Bound of the false alerts in 100 days of a service exactly at its target, whatever its traffic.
 *
 * @param k fewest bad events of an alert
 * @param factor burn rate of the rule
 */
export function falseAlerts(k: number, factor: number, longMs: number): number {
  let worst = 0
  // With fewer requests k bad ones are rarer; with more the burn rate asks for more than k.
  for (let bad = k; bad <= k + 8; bad += 1) {
    const mean = bad / factor
    worst = Math.max(worst, mean * poissonTail(mean, bad - 1))
  }
  return (worst * BOUND_DAYS * DAY_MS) / longMs
}

/**
 * Fewest bad events with which a rule alerts falsely less than once in 100 days; MIN_BAD_MAX when
 * there is none below it: the rate cannot be told from chance.
 */
export function minBadOf(factor: number, longMs: number): number {
  let low = 1
  let high = MIN_BAD_MAX
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (falseAlerts(middle, factor, longMs) < 1) high = middle
    else low = middle + 1
  }
  return low
}
