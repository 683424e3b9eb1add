import { expect, it } from 'vitest'
import { loadSample } from '../traces.ts'
import { HoltWinters, Naive } from './forecasters.ts'
import { bucketed, type Score, scores } from './score.ts'
import { seasonLength } from './season.ts'

it('the forecast of the profiler is better than the newest value on ten minutes of bursts', () => {
  const all = scores(bucketed(loadSample().arrivalMs, 2_000))
  const ours = all.filter(({ forecaster }) => forecaster === 'ours')
  for (const { ahead, errorToNaive, coverage } of ours) {
    // Of the seconds to come the newest value says most: these are bursts and silence.
    if (ahead >= 6) expect(errorToNaive, `${ahead} ahead`).toBeLessThan(1.02)
    expect(coverage, `${ahead} ahead`).toBeGreaterThan(0.75)
  }
  const mean = (of: (score: Score) => number): number =>
    ours.reduce((sum, score) => sum + of(score), 0) / ours.length
  expect(mean(({ errorToNaive }) => errorToNaive)).toBeLessThan(1)
  expect(mean(({ intervalToNaive }) => intervalToNaive)).toBeLessThan(1)
})

it('the baselines are what they are called', () => {
  const naive = new Naive()
  for (const value of [3, 5, 4]) naive.push(value)
  expect(naive.ahead(1)).toMatchObject({ expected: 4 })
  expect(naive.ahead(4).high - 4).toBeCloseTo(2 * (naive.ahead(1).high - 4))
  const waves = Array.from({ length: 240 }, (_, at) => 50 + 20 * Math.sin((Math.PI * at) / 6))
  expect(seasonLength(waves)).toBe(12)
  const winters = new HoltWinters(waves)
  const [up, down] = [winters.ahead(3).expected, winters.ahead(9).expected]
  expect([Math.round(up), Math.round(down)]).toEqual([67, 33])
  expect(bucketed(Float64Array.from([0, 5, 11, 12, 25]), 10)).toEqual([2, 2])
})
