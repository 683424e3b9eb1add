import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { runBusyWorld } from './testing/busy.ts'
import type { TraceEntry } from './types.ts'

describe('the same seed', () => {
  it('gives the same happenings, also beside other work and with a readable trace', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    const entries: TraceEntry[] = []
    const alone = await runBusyWorld(seed, 8_000, (entry) => entries.push(entry))
    let busy = true
    const work = (async () => {
      for (let n = 0; busy; n += 1) await setImmediate(n)
    })()
    const [beside, other] = await Promise.all([
      runBusyWorld(seed, 8_000),
      runBusyWorld(seed + 1, 8_000),
    ])
    busy = false
    await work
    expect(beside.trace.digest(), `seed ${seed}`).toBe(alone.trace.digest())
    expect(beside.time.events).toBe(alone.time.events)
    expect(other.trace.digest()).not.toBe(alone.trace.digest())
    expect(alone.trace.last()).toEqual(entries.slice(-400))
    expect(beside.trace.last()).toEqual(alone.trace.last())
    // It was a busy world indeed.
    expect(alone.time.events).toBeGreaterThan(1_000)
    const whats = new Set(entries.map(({ text }) => text.split(' ')[0]))
    const faults = ['killed', 'crashed', 'paused', 'lost', 'partition', 'power', 'info:']
    const seen = faults.filter((what) => whats.has(what))
    expect(seen.length, `seed ${seed}: ${seen.join()}`).toBeGreaterThanOrEqual(5)
  })
})
