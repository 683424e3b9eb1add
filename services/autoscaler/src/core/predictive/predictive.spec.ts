import { describe, expect, it } from 'vitest'
import type { Observation } from '../observation.ts'
import { bucketOf, emptyCurve, learn, missShares, SAFE_BUCKET } from './curve.ts'
import { estimate, seasonOf } from './demand.ts'
import { predictivePolicy } from './policy.ts'
import { type Course, follow } from './rules.ts'
import { isUnreachable } from './tune.ts'

const fresh = <T>(value: T) => ({ value, ageMs: 0 })
const STEP_MS = 2_000
const policy = predictivePolicy({
  work: { perRequest: 1_000, perInputToken: 0, perOutputToken: 0 },
  safeWorkPerS: 10_000,
  allowedMissPpm: [10_000],
  startupMs: 20_000,
})

interface World {
  readonly requests: number
  readonly held?: number
  readonly missed?: number
  readonly over?: Partial<Observation>
}

/** Lives through steps; replicas are ready at once. Returns the decisions. */
function live(worlds: readonly World[], from = 4) {
  let state = policy.initial()
  let target = from
  return worlds.map(({ requests, held = 0, missed = 0, over }, index) => {
    const observation: Observation = {
      nowMs: 1_000_000 + index * STEP_MS,
      target,
      arrivals: fresh({ requests, inputTokens: 0 }),
      held: fresh({ requests: held, inputTokens: 0 }),
      inFlight: fresh(requests),
      outcomes: fresh({ finished: requests, outputTokens: 0, missed: [missed] }),
      expected: undefined,
      replicas: fresh({ ready: target, draining: 0, startingMs: [], startupsMs: [] }),
      limits: { floor: 0, ceiling: 30, budget: 30, quota: 30 },
      ...over,
    }
    const next = policy.step(observation, state)
    state = next.state
    target = next.decision.wanted
    return next.decision
  })
}
const steady = (count: number, world: World): World[] => Array.from({ length: count }, () => world)

describe('the predictive policy', () => {
  it('keeps what it has until enough is known, then sheds what is not needed', () => {
    const decisions = live(steady(400, { requests: 40 }), 12)
    expect(decisions[60]).toMatchObject({ wanted: 12, hold: { code: 'HISTORY_SHORT' } })
    const last = decisions.at(-1)!
    expect(last.wanted).toBeLessThan(4)
    expect(last.wanted).toBeGreaterThanOrEqual(1)
    expect(last.model['demandPerS']).toBe(20_000)
  })

  it('goes up with demand at once, not when requests end late', () => {
    const burst = { requests: 400, missed: 0 }
    const decisions = live([...steady(150, { requests: 40 }), ...steady(5, burst)])
    expect(decisions.at(-1)!.wanted).toBeGreaterThan(2 * decisions[149]!.wanted)
  })

  it('starts from zero for a held request, and goes back when nothing comes', () => {
    const idle = steady(40, { requests: 0 })
    const decisions = live([...idle, { requests: 1, held: 1 }, ...steady(40, { requests: 0 })], 1)
    expect(decisions[39]!.wanted).toBe(0)
    expect(decisions[40]!.wanted).toBe(1)
    expect(decisions.at(-1)!.wanted).toBe(0)
  })

  it('holds the last safe value when metrics are lost, frozen, absurd or from the future', () => {
    const bad = [
      { arrivals: undefined },
      { arrivals: { value: { requests: 0, inputTokens: 0 }, ageMs: 60_000 } },
      { arrivals: fresh({ requests: Number.NaN, inputTokens: 0 }) },
      { arrivals: { value: { requests: 0, inputTokens: 0 }, ageMs: -1 } },
    ]
    for (const over of bad) {
      const worlds = [...steady(200, { requests: 40 }), ...steady(50, { requests: 0, over })]
      const decisions = live(worlds)
      expect(decisions.at(-1)!.wanted).toBe(decisions[199]!.wanted)
      expect(decisions.at(-1)!.hold?.code).toBe('METRICS_UNKNOWN')
    }
  })

  it('tells why: inputs with ages, model, what was rejected', () => {
    const last = live(steady(400, { requests: 40 }), 12).at(-1)!
    expect(last.inputs.map(({ name }) => name)).toContain('arrivals')
    expect(last.rejected.map(({ code }) => code)).toContain('COSTS_MORE')
    expect(last.model).toMatchObject({ lookAheadMs: 20_000 })
    expect(JSON.parse(JSON.stringify(last))).toEqual(last)
  })
})

describe('the curve of misses', () => {
  it('believes the safe load until it has seen, and nothing far beyond what it has seen', () => {
    const shares = missShares(emptyCurve(1), 0)
    expect(shares[SAFE_BUCKET]).toBe(0)
    expect(shares.at(-1)).toBe(1)
    const seen = learn(emptyCurve(1), bucketOf(2), { finished: 100, missed: [2] })
    expect(missShares(seen, 0)[bucketOf(1.9)]).toBeLessThanOrEqual(0.02)
  })

  it('is monotone', () => {
    let curve = emptyCurve(1)
    for (const [load, missed] of [
      [0.5, 30],
      [1, 10],
      [2, 60],
      [3, 20],
    ] as const) {
      curve = learn(curve, bucketOf(load), { finished: 100, missed: [missed] })
    }
    const shares = missShares(curve, 0)
    for (let at = 1; at < shares.length; at += 1) {
      expect(shares[at]!).toBeGreaterThanOrEqual(shares[at - 1]!)
    }
  })

  it('calls an objective unreachable only when less load was seen not to help', () => {
    const at = (load: number, missed: number, before = emptyCurve(1)) =>
      learn(before, bucketOf(load), { finished: 100, missed: [missed] })
    expect(isUnreachable(at(2, 90), 0, 0.01)).toBe(false)
    expect(isUnreachable(at(2, 90, at(0.7, 0)), 0, 0.01)).toBe(false)
    expect(isUnreachable(at(2, 90, at(0.7, 88)), 0, 0.01)).toBe(true)
  })
})

describe('the course', () => {
  const course: Course = {
    wanted: 5,
    changedAt: 0,
    changedFor: 100,
    lessSince: -1,
    mostSince: 0,
  }
  const base = { at: 3, need: 6, demand: 100, keepSteps: 4, startupSteps: 10 }

  it('does not change twice in a start-up unless demand has moved', () => {
    expect(follow(course, base).wanted).toBe(5)
    expect(follow(course, { ...base, at: 10 }).wanted).toBe(6)
    expect(follow(course, { ...base, demand: 120 }).wanted).toBe(6)
  })

  it('goes down to the most that was needed lately', () => {
    let now = { ...course, changedAt: -100 }
    for (const [at, need] of [
      [1, 2],
      [2, 4],
      [3, 1],
      [4, 1],
    ] as const) {
      now = follow(now, { ...base, at, need })
      expect(now.wanted).toBe(5)
    }
    expect(follow(now, { ...base, at: 5, need: 1 }).wanted).toBe(4)
  })
})

describe('demand', () => {
  it('finds the season, and what comes with it before it comes', () => {
    const history = Array.from({ length: 600 }, (_, at) => (at % 60 < 10 ? 900 : 100))
    const { felt } = estimate(history, STEP_MS, { steps: 10, seasonSteps: 0 })
    const seasonSteps = seasonOf(felt, STEP_MS)
    expect(seasonSteps).toBe(60)
    const { byEstimator } = estimate(history, STEP_MS, { steps: 10, seasonSteps })
    // Five steps before the next rise.
    expect(byEstimator[4]![595]!).toBeGreaterThan(3 * byEstimator[1]![595]!)
  })

  it('finds none in noise', () => {
    let word = 1
    const history = Array.from({ length: 600 }, () => {
      word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
      return word >>> 22
    })
    const { felt } = estimate(history, STEP_MS, { steps: 10, seasonSteps: 0 })
    expect(seasonOf(felt, STEP_MS)).toBe(0)
  })

  it('carries a trend on', () => {
    const history = Array.from({ length: 400 }, (_, at) => 100 + at)
    const { byEstimator } = estimate(history, STEP_MS, { steps: 60, seasonSteps: 0 })
    const later = ((100 + 399 + 60) * 1_000) / STEP_MS
    expect(byEstimator[3]![399]! / later).toBeGreaterThan(0.9)
    expect(byEstimator[3]![399]! / later).toBeLessThan(1.15)
  })
})
