import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chanceOf } from '../../testing/random.ts'
import { periodOfBursts } from './period.ts'
import { gridOf, type TracePoint } from './trace.ts'

/** Bursts of `duty` of each period, in stretches of about 100 ms that are read ± 20 %. */
function trace(init: {
  readonly periodMs: number
  readonly forMs: number
  readonly duty?: number
  readonly jitter?: number
  readonly cores?: number
  readonly tickUs?: number
  readonly seed?: number
}): readonly TracePoint[] {
  const { periodMs, forMs, duty = 0.4, jitter = 0.03, cores = 1, tickUs = 10_000, seed = 1 } = init
  const chance = chanceOf(seed)
  // Edges of the bursts.
  const bursts: [number, number][] = []
  for (let at = chance() * periodMs; at < forMs; ) {
    const length = periodMs * (1 + jitter * (2 * chance() - 1))
    bursts.push([at, at + duty * length])
    at += length
  }
  const usedUntil = (ms: number): number => {
    let used = 0
    for (const [from, to] of bursts) used += Math.max(0, Math.min(ms, to) - from) * cores * 1_000
    return Math.floor(used / tickUs) * tickUs
  }
  const points: TracePoint[] = []
  for (let at = 0; at < forMs; ) {
    const stretchUs = Math.round((80 + 40 * chance()) * 1_000)
    const to = at + stretchUs / 1_000
    points.push({ endUs: to * 1_000, stretchUs, cpuUs: usedUntil(to) - usedUntil(at) })
    at = to
  }
  return points
}

const found = (points: readonly TracePoint[]) => periodOfBursts(gridOf(points), 'procfs')

describe('the period of bursts of CPU use', () => {
  const right = (periodUs: number, periodMs: number): boolean =>
    Math.abs(periodUs / 1_000 - periodMs) / periodMs < 0.05

  it('is known and right within 5 % after 5 periods and 15 s, for 0.5 to 3 s', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 500, max: 3_000 }),
        fc.integer({ min: 30, max: 70 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer(),
        (periodMs, dutyPct, cores, seed) => {
          const duty = dutyPct / 100
          const finding = found(trace({ periodMs, forMs: 15_000, duty, cores, seed }))
          expect(finding.unknown).toBe('')
          expect(right(finding.periodUs, periodMs)).toBe(true)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('is rather not told than told wrongly, whatever the bursts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 6_000 }),
        fc.integer({ min: 10, max: 90 }),
        fc.integer({ min: 0, max: 10 }),
        fc.integer(),
        (periodMs, dutyPct, jitterPct, seed) => {
          const init = { duty: dutyPct / 100, jitter: jitterPct / 100, seed }
          const finding = found(trace({ periodMs, forMs: 15_000, ...init }))
          if (finding.unknown !== '') return
          const off = Math.abs(finding.periodUs / 1_000 - periodMs) / periodMs
          expect(off).toBeLessThan(0.05 + jitterPct / 200)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is not found in noise, in a steady load, in a single burst, in too little', () => {
    const noise = (seed: number): readonly TracePoint[] => {
      const chance = chanceOf(seed)
      return Array.from({ length: 200 }, (_, index) => ({
        endUs: (index + 1) * 100_000,
        stretchUs: 100_000,
        cpuUs: Math.round(chance() * 100_000),
      }))
    }
    for (let seed = 0; seed < 100; seed += 1) {
      expect(found(noise(seed)).unknown, `seed ${seed}`).not.toBe('')
    }
    const flat = (cpuUs: (index: number) => number): readonly TracePoint[] =>
      Array.from({ length: 150 }, (_, index) => ({
        endUs: (index + 1) * 100_000,
        stretchUs: 100_000,
        cpuUs: cpuUs(index),
      }))
    expect(found(flat(() => 95_000)).unknown).toBe('STEADY')
    expect(found(flat(() => 0)).unknown).toBe('STEADY')
    expect(found(flat((index) => (index > 60 && index < 90 ? 90_000 : 0))).unknown).toBe(
      'NO_PERIOD',
    )
    expect(found(trace({ periodMs: 1_000, forMs: 1_000 })).unknown).toBe('FEW_SAMPLES')
    expect(found([]).unknown).toBe('FEW_SAMPLES')
  })

  it('takes no alias of bursts that are shorter than a stretch for a period', () => {
    for (const periodMs of [13, 25, 37, 60, 70, 90, 110]) {
      for (let seed = 0; seed < 4; seed += 1) {
        const finding = found(trace({ periodMs, forMs: 20_000, seed, tickUs: 1_000 }))
        expect(finding.unknown, `${periodMs} ms, seed ${seed}`).not.toBe('')
      }
    }
  })

  it('begins anew after a hole', () => {
    const first = trace({ periodMs: 700, forMs: 8_000 })
    const later = trace({ periodMs: 1_500, forMs: 12_000 }).map((point) => ({
      ...point,
      endUs: point.endUs + 60_000_000,
    }))
    const finding = found([...first, ...later])
    expect(finding.periodUs / 1_500_000).toBeCloseTo(1, 1)
    expect(finding.spanMs).toBeLessThan(12_500)
  })
})
