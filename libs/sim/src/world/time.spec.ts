import { seededRandomness } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { HeapTime } from './time.ts'

describe('virtual time', () => {
  it('rings in the order of moments, then of setting', async () => {
    const time = new HeapTime()
    const random = seededRandomness(5)
    const expected: { atMs: number; n: number }[] = []
    const seen: { atMs: number; n: number }[] = []
    const timers = Array.from({ length: 2000 }, (_, n) => {
      const atMs = random.int(200)
      return { atMs, n, timer: time.after(atMs, () => seen.push({ atMs: time.nowMs, n })) }
    })
    for (const { atMs, n, timer } of timers) {
      if (random.chance(0.5)) timer.cancel()
      else expected.push({ atMs, n })
    }
    expect(time.pending).toBe(expected.length)
    expected.sort((a, b) => a.atMs - b.atMs || a.n - b.n)
    await time.runUntil(1000)
    expect(seen).toEqual(expected)
    expect(time.pending).toBe(0)
    expect(time.events).toBe(expected.length)
    expect(time.nowMs).toBe(1000)
  })

  it('runs all microtasks and ticks between two events', async () => {
    const time = new HeapTime()
    const seen: string[] = []
    time.after(1, () => {
      const chain = async (): Promise<void> => {
        for (let n = 0; n < 100; n += 1) await undefined
        process.nextTick(() => {
          void Promise.resolve().then(() => seen.push('drained'))
        })
      }
      void chain()
    })
    time.after(1, () => seen.push('next event'))
    await time.runUntil(1)
    expect(seen).toEqual(['drained', 'next event'])
  })

  it('stops where it is told to and goes on from there', async () => {
    const time = new HeapTime()
    const seen: number[] = []
    for (let n = 1; n <= 1000; n += 1) time.after(n, () => seen.push(n))
    await time.runUntil(2000, () => seen.length >= 70)
    expect(seen).toHaveLength(70)
    expect(time.nowMs).toBe(70)
    await time.runUntil(100.5)
    expect(seen).toHaveLength(100)
    expect(time.nowMs).toBe(100.5)
  })

  it('hands on what an event throws', async () => {
    const time = new HeapTime()
    time.after(1, () => {
      throw new Error('a program is broken')
    })
    await expect(time.runUntil(5)).rejects.toThrow('a program is broken')
    time.after(1, () => undefined)
    await time.runUntil(5)
    expect(time.nowMs).toBe(5)
    expect(() => time.after(Number.NaN, () => undefined)).toThrow('NaN')
  })

  it('notices that it stands still', async () => {
    const time = new HeapTime()
    const again = (): void => void time.after(1e-12 * time.nowMs, again)
    again()
    await expect(time.runUntil(5)).rejects.toThrow('stands still at 0 ms')
  })

  it('lets go of the signal of a sleep in every case', async () => {
    const time = new HeapTime()
    const abort = new AbortController()
    const outcomes: string[] = []
    time.sleep(10, abort.signal).then(
      () => outcomes.push('slept'),
      (error: unknown) => outcomes.push(String(error)),
    )
    time.sleep(1, abort.signal).then(() => outcomes.push('slept'))
    await time.runUntil(5)
    abort.abort('enough')
    await time.runUntil(6)
    expect(outcomes).toEqual(['slept', 'enough'])
    expect(time.pending).toBe(0)
    await expect(time.sleep(1, abort.signal)).rejects.toBe('enough')
  })
})
