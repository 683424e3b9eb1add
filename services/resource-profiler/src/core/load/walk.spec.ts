import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chanceOf } from '../../testing/random.ts'
import { newLoad } from '../model.ts'
import { forecastSeries } from './forecast.ts'
import { seasonOf } from './season.ts'
import { DISTANCES, Walk } from './walk.ts'

const walked = (values: readonly number[]): Walk => {
  const walk = new Walk()
  for (const value of values) walk.push(value)
  return walk
}

/** Arrivals of a Poisson process by bucket (Knuth). */
function poisson(rates: readonly number[], seed: number): readonly number[] {
  const chance = chanceOf(seed)
  return rates.map((rate) => {
    let count = 0
    for (let left = Math.exp(-rate) < chance() ? rate : 0; left > 0; ) {
      left += Math.log(Math.max(1e-12, chance()))
      if (left > 0) count += 1
    }
    return count
  })
}
const steady = (rate: number, count: number) => Array.from({ length: count }, () => rate)
const waves = (count: number, length: number) =>
  Array.from({ length: count }, (_, at) => 40 + 30 * Math.sin((2 * Math.PI * at) / length))

describe('a forecast', () => {
  it('knows nothing of what comes later', () => {
    const values = fc.array(fc.integer({ min: -1, max: 200 }), { minLength: 40, maxLength: 120 })
    fc.assert(
      fc.property(values, fc.integer({ min: 13, max: 39 }), (list, cut) => {
        const early = walked(list.slice(0, cut))
        const all = new Walk()
        for (const [at, value] of list.entries()) {
          all.push(value)
          if (at !== cut - 1) continue
          for (const ahead of DISTANCES) expect(all.ahead(ahead)).toEqual(early.ahead(ahead))
        }
      }),
      { numRuns: 30 },
    )
  })

  it('is finite, not below 0, and inside of its interval, whatever came', () => {
    const values = fc.array(fc.oneof(fc.integer({ min: -1, max: 9 }), fc.nat(1e9)), {
      minLength: 12,
      maxLength: 200,
    })
    fc.assert(
      fc.property(values, (list) => {
        const walk = walked(list)
        for (let ahead = 1; ahead <= 60; ahead += 1) {
          const { expected, low, high } = walk.ahead(ahead)
          for (const value of [expected, low, high]) {
            expect(Number.isFinite(value)).toBe(true)
            expect(value).toBeGreaterThanOrEqual(0)
          }
          expect(low).toBeLessThanOrEqual(high)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('of the same load is that load, of a ramp goes on, of a rest is little', () => {
    expect(walked(steady(50, 200)).ahead(30)).toMatchObject({ expected: 50, low: 50, high: 50 })
    const ramp = walked(Array.from({ length: 200 }, (_, at) => 10 + at))
    expect(ramp.ahead(6).expected).toBeGreaterThan(209)
    expect(ramp.ahead(6).expected).toBeLessThan(220)
    expect(walked([...steady(50, 100), ...steady(0, 60)]).ahead(6).expected).toBeLessThan(1)
  })

  it('finds a season, and is better by it than the newest value', () => {
    const values = poisson(waves(400, 24), 7)
    expect(seasonOf(values)).toBe(24)
    const walk = walked(values)
    expect(walk.season).toBe(24)
    for (const { ahead, error, naiveError } of walk.quality) {
      if (ahead <= 12) expect(error / naiveError, `${ahead} ahead`).toBeLessThan(0.95)
    }
    expect(seasonOf(poisson(steady(40, 300), 3))).toBe(0)
    expect(seasonOf([])).toBe(0)
  })

  it('keeps the promise of its intervals, at each distance', () => {
    const loads: readonly (readonly [string, (seed: number) => readonly number[]])[] = [
      ['steady', (seed) => poisson(steady(30, 700), seed)],
      ['rare', (seed) => poisson(steady(0.8, 700), seed)],
      ['waves', (seed) => poisson(waves(700, 60), seed)],
      ['a step', (seed) => poisson([...steady(20, 350), ...steady(60, 350)], seed)],
    ]
    for (const [name, load] of loads) {
      const sums = new Map(DISTANCES.map((ahead) => [ahead as number, { judged: 0, inside: 0 }]))
      for (let seed = 1; seed <= 4; seed += 1) {
        for (const { ahead, judged, inside } of walked(load(seed)).quality) {
          const sum = sums.get(ahead)!
          sum.judged += judged
          sum.inside += inside
        }
      }
      for (const [ahead, { judged, inside }] of sums) {
        const share = inside / judged
        expect(share, `${name}, ${ahead} ahead`).toBeGreaterThan(name === 'a step' ? 0.8 : 0.84)
        // Of counts near 0 an interval holds more than it promises: 0 is in it or not.
        if (name !== 'rare') expect(share, `${name}, ${ahead} ahead`).toBeLessThan(0.975)
      }
    }
  }, 30_000)

  it('leaves out what is not known, and says where too little is', () => {
    const gaps = poisson(steady(30, 200), 5).map((value, at) => (at % 7 === 0 ? -1 : value))
    expect(walked(gaps).ahead(3).expected).toBeGreaterThan(24)
    const ask = { buckets: 6, quietBuckets: 0 }
    const load = { ...newLoad('j'), arrivals: [1, 2, 3], tokens: [-1, -1, -1] }
    expect(forecastSeries(newLoad('j'), 'arrivals', ask).unknown).toBe('NO_LOAD')
    expect(forecastSeries(load, 'arrivals', ask)).toMatchObject({
      unknown: 'HISTORY_SHORT',
      known: 3,
      points: [],
    })
    expect(forecastSeries(load, 'tokens', ask).unknown).toBe('NO_READING')
  })
})
