import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chanceOf } from '../testing/random.ts'
import { periodOfSteps } from './iteration.ts'
import type { StepPoint } from './model.ts'

const T0 = 1_795_348_800_000

/** Reports of a task whose iterations take `periodMs`, ± `jitter` each, told every `everyMs`. */
function reports(init: {
  readonly periodMs: number
  readonly everyMs: number
  readonly forMs: number
  readonly jitter?: number
  readonly pauseEvery?: number
  readonly pauseMs?: number
  readonly seed?: number
}): readonly StepPoint[] {
  const { periodMs, everyMs, forMs, jitter = 0, pauseEvery = 0, pauseMs = 0, seed = 1 } = init
  const chance = chanceOf(seed)
  const points: StepPoint[] = []
  let told = Number.NEGATIVE_INFINITY
  for (let at = 0, step = 0; ; step += 1) {
    at += periodMs * (1 + jitter * (2 * chance() - 1))
    if (pauseEvery > 0 && step > 0 && step % pauseEvery === 0) at += pauseMs
    if (at > forMs) return points
    if (at - told < everyMs) continue
    told = at
    points.push([T0 + Math.round(at), step + 1])
  }
}

const periodOf = (points: readonly StepPoint[]) => {
  const period = periodOfSteps(points, points.at(-1)?.[0] ?? T0)
  if (period.unknown !== '') throw new Error(period.unknown)
  return period
}

describe('the time of an iteration, from reported steps', () => {
  it('is right within 5 % after 20 s, whatever the period up to 3 s', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 3_000 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer(),
        (periodMs, jitterPct, seed) => {
          const init = { periodMs, everyMs: 900, forMs: 20_000, jitter: jitterPct / 100, seed }
          const { periodUs, lowUs, highUs } = periodOf(reports(init))
          expect(Math.abs(periodUs / 1_000 - periodMs) / periodMs).toBeLessThan(0.05)
          expect(lowUs).toBeLessThanOrEqual(periodUs)
          expect(highUs).toBeGreaterThanOrEqual(periodUs)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('leaves out what stands still between iterations', () => {
    const pauses = { pauseEvery: 60, pauseMs: 1_500 }
    const points = reports({ periodMs: 50, everyMs: 900, forMs: 30_000, ...pauses })
    expect(periodOf(points).periodUs / 50_000).toBeCloseTo(1, 1)
  })

  it('follows a change within a minute', () => {
    const before = reports({ periodMs: 100, everyMs: 900, forMs: 120_000 }).slice(-40)
    const [endMs = T0, end = 0] = before.at(-1) ?? []
    const after = reports({ periodMs: 200, everyMs: 900, forMs: 62_000 }).map(
      ([atMs, step]): StepPoint => [endMs + atMs - T0, end + step],
    )
    const points = [...before, ...after].slice(-64)
    expect(periodOf(points).periodUs / 200_000).toBeCloseTo(1, 1)
  })

  it('is not known where it cannot be', () => {
    expect(periodOfSteps([], T0).unknown).toBe('NO_STEPS')
    const few = reports({ periodMs: 900, everyMs: 900, forMs: 3_000 })
    expect(periodOfSteps(few, T0 + 3_000).unknown).toBe('FEW_STEPS')
    const fine = reports({ periodMs: 100, everyMs: 900, forMs: 20_000 })
    expect(periodOfSteps(fine, T0 + 79_000).unknown).toBe('')
    expect(periodOfSteps(fine, T0 + 90_000).unknown).toBe('STALE')
    const wild: StepPoint[] = [1, 2, 3, 53, 54, 55, 105, 106, 107, 157, 158].map((step, index) => [
      T0 + index * 1_000,
      step,
    ])
    expect(periodOfSteps(wild, T0 + 11_000).unknown).toBe('UNSTEADY')
  })

  it('keeps what its interval promises', () => {
    const inside = (seed: number): boolean => {
      const init = { periodMs: 250, everyMs: 900, forMs: 20_000, jitter: 0.4, seed }
      const { lowUs, highUs } = periodOf(reports(init))
      return lowUs <= 250_000 && highUs >= 250_000
    }
    const held = Array.from({ length: 400 }, (_, seed) => inside(seed)).filter(Boolean).length
    expect(held / 400).toBeGreaterThan(0.84)
  })
})
