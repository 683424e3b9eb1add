import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { AppendOutcomeUnknownError, type LogEntry } from '../port.ts'
import type { MemoryLogFaults } from './faults.ts'
import { type MemoryLog, openMemoryLog } from './open.ts'
import { createMemoryLogStore } from './store.ts'

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const entry = (text: string): LogEntry => ({ key: '', headers: {}, value: Buffer.from(text) })

function open(faults?: MemoryLogFaults): { time: VirtualTime; log: MemoryLog } {
  const time = new VirtualTime()
  const ports = { timers: time, randomness: seededRandomness(7) }
  return { time, log: openMemoryLog(faults === undefined ? { ports } : { ports, faults }) }
}

async function texts(log: MemoryLog): Promise<string[]> {
  const { records } = await log.fetch(address, { from: 0, maxBytes: 1e9, waitMs: 0 })
  return records.map((record) => Buffer.from(record.value).toString())
}

describe('memory log faults', () => {
  it('loses a send: nothing lands, the outcome is unknown', async () => {
    const { log } = open({ lostShare: 1 })
    await expect(log.append(address, [entry('a')])).rejects.toThrow(AppendOutcomeUnknownError)
    expect(await texts(log)).toEqual([])
  })

  it('lands with an unknown outcome', async () => {
    const { log } = open({ unknownShare: 1 })
    await expect(log.append(address, [entry('a')])).rejects.toThrow(AppendOutcomeUnknownError)
    expect(await texts(log)).toEqual(['a'])
  })

  it('lands late: behind what was sent after it', async () => {
    const { time, log } = open({ lateShare: 1, lateDelayMs: [10, 10] })
    await expect(log.append(address, [entry('a')])).rejects.toThrow(AppendOutcomeUnknownError)
    log.setFaults(undefined)
    await log.append(address, [entry('b')])
    await time.advance(20)
    expect(await texts(log)).toEqual(['b', 'a'])
  })

  it('lands twice and acknowledges the first', async () => {
    const { time, log } = open({ duplicateShare: 1, lateDelayMs: [10, 10] })
    expect(await log.append(address, [entry('a')])).toEqual({ position: 0 })
    await time.advance(20)
    expect(await texts(log)).toEqual(['a', 'a'])
  })

  it('tears reads but never returns nothing of what is there', async () => {
    const { log } = open()
    for (let n = 0; n < 20; n += 1) await log.append(address, [entry(`record ${n}`)])
    log.setFaults({ tornShare: 1 })
    const sizes = new Set<number>()
    for (let n = 0; n < 50; n += 1) {
      const { records } = await log.fetch(address, { from: 0, maxBytes: 160, waitMs: 0 })
      expect(records[0]?.position).toBe(0)
      sizes.add(records.length)
    }
    expect(Math.min(...sizes)).toBe(1)
    expect(sizes.size).toBeGreaterThan(3)
  })

  it('stands still while paused, and what it had sent lands', async () => {
    const { time, log } = open({ sendDelayMs: [10, 10] })
    const other = openMemoryLog({
      ports: { timers: time, randomness: seededRandomness(8) },
      store: log.store,
    })
    let acknowledged = false
    const appended = log.append(address, [entry('a')]).then(() => {
      acknowledged = true
    })
    await time.advance(5)
    log.pause()
    await time.advance(50)
    expect(await texts(other)).toEqual(['a'])
    expect(acknowledged).toBe(false)
    log.resume()
    await time.run(appended)
    expect(acknowledged).toBe(true)
  })

  it('never returns after a kill, and what it had sent lands', async () => {
    const { time, log } = open({ sendDelayMs: [10, 10] })
    const other = openMemoryLog({
      ports: { timers: time, randomness: seededRandomness(8) },
      store: log.store,
    })
    let settled = 0
    const count = (): void => {
      settled += 1
    }
    log.append(address, [entry('a')]).then(count, count)
    log.fetch(address, { from: 0, maxBytes: 100, waitMs: 1000 }).then(count, count)
    await time.advance(5)
    log.kill()
    log.append(address, [entry('b')]).then(count, count)
    log.resume()
    await time.advance(100_000)
    expect(settled).toBe(0)
    expect(await texts(other)).toEqual(['a'])
  })

  it('refuses appends while its disk is full, and reads on', async () => {
    const { log } = open()
    await log.append(address, [entry('a')])
    log.setFaults({ full: true })
    await expect(log.append(address, [entry('b')])).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(await texts(log)).toEqual(['a'])
    log.setFaults(undefined)
    await log.append(address, [entry('c')])
    expect(await texts(log)).toEqual(['a', 'c'])
  })

  it('gives no answer over a cut line; some of what was sent lands afterwards', async () => {
    const { time, log } = open()
    const other = openMemoryLog({
      ports: { timers: time, randomness: seededRandomness(8) },
      store: log.store,
    })
    log.cut()
    let outcomes = 0
    const count = (error: unknown): void => {
      expect(error).toBeInstanceOf(AppendOutcomeUnknownError)
      outcomes += 1
    }
    for (let n = 0; n < 20; n += 1) log.append(address, [entry(`${n}`)]).catch(count)
    const read = texts(log)
    await time.advance(9_999)
    expect(outcomes).toBe(0)
    await time.advance(1)
    expect(outcomes).toBe(20)
    expect(await texts(other)).toEqual([])
    log.mend()
    expect(await read).toEqual([])
    const landed = (await texts(other)).length
    expect(landed).toBeGreaterThan(0)
    expect(landed).toBeLessThan(20)
  })

  it('lets go of everything when it is killed while a read waits', async () => {
    const { time, log } = open()
    const abort = new AbortController()
    void log.fetch(address, { from: 0, maxBytes: 1, waitMs: 60_000, signal: abort.signal })
    expect(time.pending).toBe(1)
    expect(log.store.partition(address).waiters.size).toBe(1)
    log.kill()
    expect(time.pending).toBe(0)
    expect(log.store.partition(address).waiters.size).toBe(0)
  })

  it('tells of what lands, before readers hear of it', async () => {
    const landed: string[] = []
    const time = new VirtualTime()
    const store = createMemoryLogStore({
      onLand: ({ topic }, records) => {
        for (const { position, value } of records) {
          landed.push(`${topic} ${position} ${Buffer.from(value).toString()}`)
        }
      },
    })
    const log = openMemoryLog({ ports: { timers: time, randomness: seededRandomness(1) }, store })
    const reading = log
      .fetch(address, { from: 0, maxBytes: 100, waitMs: 1000 })
      .then(() => landed.push('read'))
    await log.append(address, [entry('a'), entry('b')])
    await time.run(reading)
    const { topic } = address
    expect(landed).toEqual([`${topic} 0 a`, `${topic} 1 b`, 'read'])
  })
})
