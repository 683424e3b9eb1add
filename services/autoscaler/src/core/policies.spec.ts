import { describe, expect, it } from 'vitest'
import { hpaPolicy } from './hpa.ts'
import { kpaPolicy } from './kpa.ts'
import type { Observation } from './observation.ts'
import { withinLimits } from './policy.ts'

const fresh = <T>(value: T) => ({ value, ageMs: 0 })
const limits = { floor: 1, ceiling: 50, budget: 50, quota: 50 }

/** Concurrency `requests` with as many ready replicas as are wanted. */
const seen = (nowMs: number, target: number, requests: number, ready = target): Observation => ({
  nowMs,
  target,
  arrivals: undefined,
  held: fresh({ requests: 0, inputTokens: 0 }),
  inFlight: fresh(requests),
  outcomes: undefined,
  expected: undefined,
  replicas: fresh({ ready, draining: 0, startingMs: [], startupsMs: [] }),
  limits,
})

describe('kpa', () => {
  const policy = kpaPolicy({ targetConcurrency: 10 })
  const run = (loads: readonly number[], fromTarget: number, everyMs = 2_000) => {
    let state = policy.initial()
    let target = fromTarget
    return loads.map((load, index) => {
      const next = policy.step(seen(index * everyMs, target, load), state)
      state = next.state
      target = next.decision.wanted
      return target
    })
  }

  it('wants the average over 70 % of the target', () => {
    expect(run(Array(40).fill(35), 5).at(-1)).toBe(5)
    expect(run(Array(40).fill(36), 5).at(-1)).toBe(6)
  })

  it('panics at twice what it has, and does not shrink while it does', () => {
    const calm = Array(30).fill(7)
    const wanted = run([...calm, ...Array(4).fill(70), ...Array(10).fill(0)], 1)
    expect(wanted[33]).toBe(10)
    expect(wanted.at(-1)).toBe(10)
  })

  it('halves at most, per step', () => {
    const wanted = run([...Array(40).fill(70), ...Array(60).fill(0)], 10)
    for (let index = 1; index < wanted.length; index += 1) {
      expect(wanted[index]!).toBeGreaterThanOrEqual(Math.floor(wanted[index - 1]! / 2))
    }
  })

  it('holds when nothing is known', () => {
    const blind = { ...seen(0, 7, 0), inFlight: undefined, held: undefined }
    const { decision } = policy.step(blind, policy.initial())
    expect(decision).toMatchObject({ wanted: 7, hold: { code: 'METRICS_UNKNOWN' } })
  })
})

describe('hpa', () => {
  const policy = hpaPolicy({ metric: 'outstanding', targetRequests: 10 })

  it('takes the ratio to the target, with a tolerance of a tenth', () => {
    const at = (requests: number) =>
      policy.step(seen(0, 4, requests), policy.initial()).decision.wanted
    expect(at(40)).toBe(4)
    expect(at(43)).toBe(4)
    expect(at(45)).toBe(5)
  })

  it('doubles at most or adds four, and looks every 15 s', () => {
    const first = policy.step(seen(0, 2, 1_000), policy.initial())
    expect(first.decision.wanted).toBe(6)
    const soon = policy.step(seen(10_000, 6, 1_000), first.state)
    expect(soon.decision).toMatchObject({ wanted: 6, hold: { code: 'BETWEEN_SYNCS' } })
    expect(policy.step(seen(15_000, 6, 1_000), soon.state).decision.wanted).toBe(12)
  })

  it('shrinks to the highest recommendation of the last 300 s', () => {
    let state = policy.step(seen(0, 8, 80), policy.initial()).state
    const wanted: number[] = []
    for (let nowMs = 15_000; nowMs <= 330_000; nowMs += 15_000) {
      const next = policy.step(seen(nowMs, 8, 20), state)
      state = next.state
      wanted.push(next.decision.wanted)
    }
    expect(wanted.slice(0, 18).every((count) => count === 8)).toBe(true)
    expect(wanted.at(-1)).toBe(2)
  })
})

describe('limits', () => {
  it('put budget and quota before the floor', () => {
    expect(withinLimits(9, { ...limits, budget: 4 }, 3)).toBe(4)
    expect(withinLimits(1, { ...limits, floor: 3 }, 3)).toBe(3)
    expect(withinLimits(1, { ...limits, floor: 3, quota: 2 }, 3)).toBe(2)
  })

  it('grow nothing while the budget is unknown', () => {
    expect(withinLimits(9, { ...limits, budget: undefined }, 3)).toBe(3)
  })
})
