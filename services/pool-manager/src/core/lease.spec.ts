import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CLOCK_RATE_MAX_FRACTION,
  disconnectedAfterMs,
  KILL_BUDGET_MS,
  LEASE_MS_RANGE,
  lostAfterMs,
  verdict,
} from './lease.ts'

/** Real time from the heartbeat on, in which clocks run at their own rates. */
interface World {
  readonly leaseMs: number
  /** Agent's and leader's seconds per real second. */
  readonly agentRate: number
  readonly leaderRate: number
  /** Real time a heartbeat takes, ms. */
  readonly travelMs: number
}

/** Real time at which the last process of an exclusive task is gone at the latest. */
const goneByMs = (world: World) => world.leaseMs / world.agentRate + KILL_BUDGET_MS
/** Real time at which the leader believes the node lost, by a rule for its own clock. */
const lostAtMs = (world: World, waitMs: number) => world.travelMs + waitMs / world.leaderRate

const rate = fc.double({
  min: 1 - CLOCK_RATE_MAX_FRACTION,
  max: 1 + CLOCK_RATE_MAX_FRACTION,
  noNaN: true,
})
const worlds = fc.record({
  leaseMs: fc.integer(LEASE_MS_RANGE),
  agentRate: rate,
  leaderRate: rate,
  travelMs: fc.integer({ min: 0, max: 60_000 }),
})
const worst: World = {
  leaseMs: 300_000,
  agentRate: 1 - CLOCK_RATE_MAX_FRACTION,
  leaderRate: 1 + CLOCK_RATE_MAX_FRACTION,
  travelMs: 0,
}

test('a node is believed lost only after an exclusive task on it is certainly dead', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      expect(lostAtMs(world, lostAfterMs(world.leaseMs))).toBeGreaterThanOrEqual(goneByMs(world))
    }),
  )
  expect(lostAtMs(worst, lostAfterMs(worst.leaseMs))).toBeGreaterThan(goneByMs(worst))
})

test('with a smaller margin, or without a kill budget, two would run at once', () => {
  const tooSmall = (leaseMs: number) => leaseMs * 1.05 + 5_000
  const noBudget = (leaseMs: number) => leaseMs * 1.1
  expect(lostAtMs(worst, tooSmall(worst.leaseMs))).toBeLessThan(goneByMs(worst))
  const short = { ...worst, leaseMs: 2_000 }
  expect(lostAtMs(short, noBudget(short.leaseMs))).toBeLessThan(goneByMs(short))
})

test('silence counts from the last sign of life or from the claim, whichever is later', () => {
  const leaseMs = 15_000
  const lost = lostAfterMs(leaseMs)
  const at = (nowMs: number, lastSignMs: number | undefined, leadingSinceMs: number) =>
    verdict({ nowMs, lastSignMs, leadingSinceMs, leaseMs })
  expect(at(1_000_000 + lost - 1, undefined, 1_000_000)).toBe('disconnected')
  expect(at(1_000_000 + lost, undefined, 1_000_000)).toBe('lost')
  expect(at(1_000_000 + disconnectedAfterMs(leaseMs) - 1, 5, 1_000_000)).toBe('alive')
  expect(at(1_000_000 + lost, 1_000_500, 1_000_000)).toBe('disconnected')
  expect(at(1_000_500 + lost, 1_000_500, 1_000_000)).toBe('lost')
})
