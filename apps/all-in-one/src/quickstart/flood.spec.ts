import { VirtualTime } from '@serverless-ai/kernel/testing'
import { expect, it } from 'vitest'
import { flood, type Stretch } from './flood.ts'

/** A flood on virtual time; every `wrongEvery`th request is answered wrongly. */
async function flooded(init: { latencyMs: number; wrongEvery: number; tellings?: number }) {
  const time = new VirtualTime()
  const sentMs: number[] = []
  const told: Stretch[] = []
  const done = flood({
    phases: [
      { seconds: 2, perSecond: 2 },
      { seconds: 2, perSecond: 10 },
    ],
    tellEverySeconds: 2,
    request: async () => {
      sentMs.push(time.nowMs)
      const number = sentMs.length
      await time.sleep(init.latencyMs)
      return number % init.wrongEvery !== 0
    },
    tell: async (stretch) => told.push(stretch) < (init.tellings ?? 100),
    ports: { clock: time, timers: time },
  })
  await time.advance(10_000)
  await done
  return { sentMs, told }
}

it('sends at the rate of each phase, whatever the answers take', async () => {
  const { sentMs } = await flooded({ latencyMs: 3_000, wrongEvery: 100 })
  expect(sentMs.slice(0, 5)).toEqual([0, 500, 1_000, 1_500, 2_000])
  expect(sentMs).toHaveLength(24)
  expect(sentMs.at(-1)).toBe(3_900)
})

it('tells each request once, with its time, and those that failed', async () => {
  const { told } = await flooded({ latencyMs: 700, wrongEvery: 8 })
  expect(told.map(({ atSeconds, perSecond }) => [atSeconds, perSecond])).toEqual([
    [2, 10],
    [5, 0],
  ])
  expect(told.reduce((sum, { answered }) => sum + answered, 0)).toBe(21)
  expect(told.reduce((sum, { failed }) => sum + failed, 0)).toBe(3)
  expect(told[1]).toMatchObject({ p50Ms: 700, p99Ms: 700 })
})

it('sends nothing more when it is told to end', async () => {
  const { sentMs, told } = await flooded({ latencyMs: 700, wrongEvery: 8, tellings: 1 })
  expect(told).toHaveLength(1)
  expect(sentMs.at(-1)).toBeLessThan(2_000)
})
