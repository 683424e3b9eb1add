import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppendTime } from './append-time.ts'
import { hangMs, rankOf, Standby, silenceMs } from './standby.ts'

const replicas = ['a', 'b', 'c']
/** The first in the queue when `c` has led: the wait of its rank is none. */
const first = replicas.find((one) => rankOf(one, { partition: 0, replicas, last: 'c' }) === 0)!
const second = replicas.find((one) => rankOf(one, { partition: 0, replicas, last: 'c' }) === 1)!

/** A standby of the claim of `c`, read and caught up with at 0. */
function standby(replica = first, appendTime = new AppendTime()): Standby {
  const one = new Standby({ partition: 0, replica, replicas }, appendTime)
  one.caughtUp({ epoch: 1, open: true, replica: 'c' }, 0)
  one.reachedEnd(0, 0)
  return one
}

/** It reads the log until `untilMs` and there is nothing. */
function reads(one: Standby, untilMs: number, fromMs = 0): void {
  for (let ms = fromMs; ms <= untilMs; ms += 100) one.reachedEnd(ms, ms)
}

const slow = (ms: number): AppendTime => {
  const time = new AppendTime()
  time.took(ms)
  return time
}

describe('a standby claims', () => {
  it.each(['refused', 'not-serving'] as const)('when the answer is %s, by rank', (answer) => {
    for (const [replica, waitMs] of [
      [first, 0],
      [second, 200],
      ['c', 400],
    ] as const) {
      const one = standby(replica)
      reads(one, 2000)
      one.asked(2000)
      one.answered(answer, { askedMs: 2000, nowMs: 2001 })
      expect(one.claimAtMs(2001)).toBe(2001 + waitMs)
      expect(one.leaderGone).toBe(true)
    }
  })

  it('not when it is served, or a record was read after the question', () => {
    const one = standby()
    reads(one, 1900)
    one.answered('refused', { askedMs: 1500, nowMs: 1500 })
    one.answered('serving', { askedMs: 1800, nowMs: 1801 })
    expect(one.claimAtMs(1900)).toBe(Number.POSITIVE_INFINITY)
    one.asked(1900)
    one.heard('commit', 1950)
    one.answered('not-serving', { askedMs: 1900, nowMs: 2000 })
    expect(one.claimAtMs(2000)).toBe(Number.POSITIVE_INFINITY)
  })

  it('not because a leader has not read its own claim yet', () => {
    const one = standby(first, slow(400))
    one.answered('not-serving', { askedMs: 700, nowMs: 701 })
    expect(one.claimAtMs(701)).toBe(Number.POSITIVE_INFINITY)
    one.answered('not-serving', { askedMs: 900, nowMs: 901 })
    expect(one.claimAtMs(901)).toBe(901)
  })

  it('when it yields, by rank', () => {
    const one = standby(second)
    reads(one, 1000)
    one.heard('commit', 1000)
    one.follow({ epoch: 1, open: false, replica: 'c' }, 1000)
    expect(one.claimAtMs(1000)).toBe(1200)
  })

  it('when nothing answers for 2 s and the log is silent as long', () => {
    const one = standby()
    one.asked(600)
    reads(one, 2500)
    expect(one.claimAtMs(2599)).toBe(Number.POSITIVE_INFINITY)
    reads(one, 2600)
    expect(one.claimAtMs(2600)).toBe(2600)
  })

  it('not when nothing answers and records are read', () => {
    const one = standby()
    one.asked(600)
    for (let ms = 0; ms < 60_000; ms += 1000) {
      one.heard('commit', ms)
      reads(one, ms + 900, ms)
      expect(one.claimAtMs(ms + 900)).toBe(Number.POSITIVE_INFINITY)
    }
  })

  it('when the log is silent for 3 s and four append times, whatever health says', () => {
    for (const appendMs of [5, 500, 1500]) {
      const one = standby(first, slow(appendMs))
      const waitMs = hangMs(appendMs)
      const says = (nowMs: number): void => {
        reads(one, nowMs)
        one.answered('serving', { askedMs: nowMs, nowMs })
      }
      says(waitMs - 100)
      expect(one.claimAtMs(waitMs - 100)).toBe(Number.POSITIVE_INFINITY)
      says(waitMs + 100)
      expect(one.claimAtMs(waitMs + 100)).toBe(waitMs)
    }
  })

  it('not on the silence of a log that it cannot read', () => {
    const one = standby()
    one.asked(600)
    expect(one.claimAtMs(60_000)).toBe(Number.POSITIVE_INFINITY)
    // What it reads first when it can read again may be of before.
    one.reachedEnd(100, 60_000)
    expect(one.claimAtMs(60_000)).toBe(Number.POSITIVE_INFINITY)
    one.answered('refused', { askedMs: 60_000, nowMs: 60_000 })
    expect(one.claimAtMs(60_000)).toBe(60_000)
    expect(one.claimAtMs(63_000)).toBe(Number.POSITIVE_INFINITY)
  })

  it('later where its clock differs', () => {
    const one = standby(first, slow(100))
    reads(one, 1000)
    one.answered('refused', { askedMs: 1000, nowMs: 1000 })
    one.clockDiffers = true
    expect(one.claimAtMs(1000)).toBe(1000 + 1500 + 200)
  })
})

describe('the queue', () => {
  it('has a place for each, the last leader behind all others', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 7 }),
        fc.nat(1000),
        fc.nat(),
        (names, partition, pick) => {
          const last = names[pick % names.length]!
          const ranks = names.map((one) => rankOf(one, { partition, replicas: names, last }))
          expect([...ranks].sort()).toEqual(names.map((_, index) => index))
          expect(rankOf(last, { partition, replicas: names, last })).toBe(names.length - 1)
        },
      ),
    )
  })

  it('spreads the partitions of a leader over the others', () => {
    const heads = new Set<string>()
    for (let partition = 0; partition < 20; partition += 1) {
      for (const one of ['a', 'b']) {
        if (rankOf(one, { partition, replicas, last: 'c' }) === 0) heads.add(one)
      }
    }
    expect(heads.size).toBe(2)
  })
})

describe('the append time', () => {
  it('rises at once and falls slowly, never below the guess', () => {
    const time = slow(800)
    expect(time.ms).toBe(800)
    time.took(0)
    expect(time.ms).toBe(700)
    for (let i = 0; i < 100; i += 1) time.took(0)
    expect(time.ms).toBe(5)
  })

  it('of a replica that only follows falls to what the records show, and is not raised', () => {
    const time = slow(4000)
    for (let i = 0; i < 40; i += 1) time.observed(900)
    expect(time.ms).toBeCloseTo(900, 0)
    time.observed(5000)
    expect(time.ms).toBeCloseTo(900, 0)
  })

  it('gives a slow leader that ticks enough time by every rule', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), (appendMs) => {
        // A tick is written after a second of silence and read an append later; the fetches of the
        // standby know of that silence a quarter of a second late.
        const spacingMs = 1000 + appendMs
        const time = slow(appendMs)
        for (let i = 0; i < 100; i += 1) time.observed(Math.max(0, spacingMs - 250 - 1000))
        expect(hangMs(time.ms)).toBeGreaterThan(spacingMs)
        // Besides, its health would have to be unanswered.
        if (appendMs > 1000) expect(silenceMs(time.ms)).toBeGreaterThan(spacingMs)
      }),
    )
  })
})
