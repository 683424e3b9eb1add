import { beforeEach, describe, expect, it } from 'vitest'
import { LoadCounter } from './load-counter.ts'

/** A full bucket begins here. */
const T0 = 1_795_348_800_000
const BUCKET = T0 / 10_000

let counter: LoadCounter
beforeEach(() => {
  counter = new LoadCounter()
})

const take = (
  second: number,
  arrived: number,
  more: Partial<Parameters<LoadCounter['take']>[0]> = {},
) => {
  const atMs = T0 + second * 1_000
  const reading = { source: 'gateway/r1', bootId: 'b1', jobId: 'j', atMs, arrived }
  const rest = { tokens: undefined, busy: false, begins: false, missingMs: 0 }
  counter.take({ ...reading, ...rest, ...more }, atMs)
}
const drain = (second: number) => counter.drain(T0 + second * 1_000)

describe('arrivals by bucket', () => {
  it('are counted from the differences of the counters of all gates', () => {
    take(1, 5, { begins: true })
    take(2, 9)
    take(3, 100, { source: 'gateway/r2' })
    take(4, 103, { source: 'gateway/r2' })
    take(11, 10)
    expect(drain(13)).toEqual([
      { jobId: 'j', first: BUCKET, gap: 'unknown', arrivals: [12], tokens: [-1] },
    ])
    // Without news there are whole buckets of nothing.
    expect(drain(33)).toEqual([
      { jobId: 'j', first: BUCKET + 1, gap: 'nothing', arrivals: [1, 0], tokens: [-1, 0] },
    ])
  })

  it('that were not recorded are unknown before the next ones, and only there', () => {
    take(1, 5, { begins: true })
    take(12, 6)
    counter.lose(drain(13))
    take(22, 8)
    expect(drain(23)).toMatchObject([{ first: BUCKET + 1, gap: 'unknown', arrivals: [1] }])
    expect(drain(33)).toMatchObject([{ first: BUCKET + 2, gap: 'nothing', arrivals: [2] }])
  })

  it('know their tokens where all of them are known', () => {
    take(1, 2, { begins: true, tokens: 300 })
    take(2, 3, { tokens: 450 })
    take(11, 4, { tokens: 500 })
    take(12, 5)
    expect(drain(25)).toMatchObject([{ arrivals: [3, 2], tokens: [450, -1] }])
  })

  it('begin anew with a boot, and never go back', () => {
    take(1, 50, { begins: true })
    take(2, 40)
    expect(counter.rejected).toBe(1)
    take(3, 4, { bootId: 'b2', begins: true })
    take(4, 6, { bootId: 'b2' })
    expect(drain(13)).toMatchObject([{ arrivals: [56] }])
    counter.take(
      {
        ...{ source: 's', bootId: 'b', jobId: 'j', atMs: T0 - 90_000, arrived: 1 },
        ...{ tokens: undefined, busy: false, begins: true, missingMs: 0 },
      },
      T0,
    )
    expect(counter.rejected).toBe(2)
  })

  it('are not known, rather than none, while a gate that held requests is silent', () => {
    take(1, 5, { begins: true, busy: true })
    drain(13)
    expect(drain(33)).toMatchObject([{ arrivals: [-1, -1], tokens: [-1, -1] }])
    take(34, 7)
    expect(drain(43)).toMatchObject([{ arrivals: [2] }])
  })

  it('rest after five minutes of nothing, and go on with what is known of the pause', () => {
    take(1, 5, { begins: true })
    for (let second = 13; second <= 400; second += 10) drain(second)
    expect(counter.active).toBe(false)
    expect(drain(450)).toEqual([])
    take(1_000, 8)
    expect(counter.active).toBe(true)
    expect(drain(1_013)).toEqual([
      { jobId: 'j', first: BUCKET + 100, gap: 'nothing', arrivals: [3], tokens: [-1] },
    ])
  })

  it('are not known where batches of the gate did not come, however many came meanwhile', () => {
    take(1, 5, { begins: true })
    for (let second = 13; second <= 400; second += 10) drain(second)
    take(1_000, 3_005, { missingMs: 300_000 })
    take(1_001, 3_007)
    expect(drain(1_013)).toEqual([
      { jobId: 'j', first: BUCKET + 100, gap: 'unknown', arrivals: [-1], tokens: [-1] },
    ])
    take(1_014, 3_010)
    expect(drain(1_023)).toMatchObject([{ gap: 'nothing', arrivals: [3] }])
  })
})
