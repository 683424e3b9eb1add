import fc from 'fast-check'
import { expect, it } from 'vitest'
import { binomialTail, falseAlerts, minBadOf, poissonTail } from './power.ts'

const HOUR_MS = 3_600_000

it('has the tails of the tables', () => {
  expect(poissonTail(1, 1)).toBeCloseTo(0.6321206, 6)
  expect(poissonTail(2, 5)).toBeCloseTo(0.052653, 6)
  expect(poissonTail(0.1, 5) / 7.66e-8).toBeCloseTo(1, 2)
  expect(binomialTail(10, 0.5, 5)).toBeCloseTo(0.6230469, 6)
  expect(binomialTail(20, 0.01, 2)).toBeCloseTo(0.0168594, 6)
  expect(binomialTail(5, 1, 5)).toBe(1)
})

it('asks for more bad events where chance comes more easily', () => {
  expect(minBadOf(14.4, HOUR_MS)).toBe(5)
  expect(minBadOf(6, 6 * HOUR_MS)).toBe(7)
  expect(minBadOf(3, HOUR_MS)).toBeGreaterThan(minBadOf(6, HOUR_MS))
  for (const [factor, longMs] of [
    [14.4, HOUR_MS],
    [6, 6 * HOUR_MS],
    [14.4, 5_000],
  ] as const) {
    const k = minBadOf(factor, longMs)
    expect(falseAlerts(k, factor, longMs)).toBeLessThan(1)
    expect(falseAlerts(k - 1, factor, longMs)).toBeGreaterThanOrEqual(1)
  }
})

/** Small, fast and seeded (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Alerts of 2 %/1 h in `days` of a service at exactly its target, at `perHour` requests. */
function alertsIn(days: number, perHour: number, seed: number): number {
  const chance = random(seed)
  const target = 0.999
  const k = minBadOf(14.4, HOUR_MS)
  const bad: number[] = []
  let alerts = 0
  let calmFrom = 0
  // Only bad events matter for the count; the burn rate asks for its share on top.
  const meanMs = HOUR_MS / (perHour * (1 - target))
  for (let at = 0; at < days * 86_400_000; ) {
    at += -Math.log(1 - chance()) * meanMs
    bad.push(at)
    while ((bad[0] ?? at) < at - HOUR_MS) bad.shift()
    if (bad.length < Math.max(k, 14.4 * perHour * (1 - target)) || at < calmFrom) continue
    alerts += 1
    calmFrom = at + HOUR_MS
  }
  return alerts
}

it('less than one false page in 100 days, at 10 requests an hour and where it is worst', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      // 5 / 14.4 bad ones an hour are the worst traffic there is: 347 requests an hour.
      const days = 20_000
      expect(alertsIn(days, 10, seed)).toBe(0)
      expect(alertsIn(days, 347, seed) / (days / 100)).toBeLessThan(1)
    }),
    { numRuns: 5 },
  )
})
