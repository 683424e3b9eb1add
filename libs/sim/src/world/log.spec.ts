import { AppendOutcomeUnknownError, type EventLog } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { createWorld } from './index.ts'
import type { Landed, SimProcess, World } from './types.ts'

const ADDRESS = { topic: 'serverlessai.log.test.v1', partition: 0 }
const entry = (text: string) => ({ key: '', headers: {}, value: Buffer.from(text) })
const LOG = { sendDelayMs: [1, 1], ackDelayMs: [1, 1], readDelayMs: [1, 1] } as const

interface Opened {
  readonly world: World
  readonly process: SimProcess
  readonly log: () => EventLog
  readonly landed: Landed[]
}

async function open(): Promise<Opened> {
  const world = createWorld({ seed: 1, log: LOG })
  const landed: Landed[] = []
  world.onLanded((record) => landed.push(record))
  let log: EventLog | undefined
  const process = world.machine('m').process('p', ({ eventLog }) => {
    log = eventLog
    return { stop: async () => undefined }
  })
  process.start()
  await world.time.runUntil(0)
  return { world, process, log: () => log!, landed }
}

describe('the log of the world', () => {
  it('is one for all, and tells of what lands', async () => {
    const { world, log, landed } = await open()
    let position = -1
    void log()
      .append(ADDRESS, [entry('a'), entry('b')])
      .then((done) => {
        position = done.position
      })
    await world.time.runUntil(1.5)
    expect(position).toBe(-1)
    expect(landed.map(({ atMs, position: at, topic }) => [atMs, at, topic])).toEqual([
      [1, 0, ADDRESS.topic],
      [1, 1, ADDRESS.topic],
    ])
    await world.time.runUntil(3)
    expect(position).toBe(0)
  })

  it('may be full for one process, also after a restart', async () => {
    const { world, process, log } = await open()
    process.setLogFull(true)
    await expect(log().append(ADDRESS, [entry('a')])).rejects.toMatchObject({ code: 'DISK_FULL' })
    process.kill()
    process.start()
    await world.time.runUntil(1)
    await expect(log().append(ADDRESS, [entry('a')])).rejects.toMatchObject({ code: 'DISK_FULL' })
    process.setLogFull(false)
    const done = log().append(ADDRESS, [entry('a')])
    await world.time.runUntil(10)
    expect(await done).toEqual({ position: 0 })
  })

  it('cannot be reached from behind a partition', async () => {
    const { world, log, landed } = await open()
    world.network.partition('m', 'log')
    const outcomes: string[] = []
    const note = (error: unknown): void => {
      outcomes.push(`${world.time.nowMs}: ${error instanceof AppendOutcomeUnknownError}`)
    }
    for (let n = 0; n < 10; n += 1)
      log()
        .append(ADDRESS, [entry(`${n}`)])
        .catch(note)
    let read = -1
    void log()
      .fetch(ADDRESS, { from: 0, maxBytes: 1000, waitMs: 100 })
      .then(({ records }) => {
        read = records.length
      })
    await world.time.runUntil(20_000)
    expect(outcomes).toEqual(new Array(10).fill('10000: true'))
    expect([landed.length, read]).toEqual([0, -1])
    world.network.heal('m', 'log')
    await world.time.runUntil(20_010)
    expect(read).toBe(0)
    expect(landed.length).toBeGreaterThan(0)
    expect(landed.length).toBeLessThan(10)
  })

  it('has the faults of one process or of all', async () => {
    const { world, process, log, landed } = await open()
    process.setLogFaults({ ...LOG, lostShare: 1 })
    const lost = log().append(ADDRESS, [entry('a')])
    lost.catch(() => undefined)
    await world.time.runUntil(10)
    await expect(lost).rejects.toThrow(AppendOutcomeUnknownError)
    expect(landed).toEqual([])
    process.setLogFaults(undefined)
    void log().append(ADDRESS, [entry('a')])
    await world.time.runUntil(20)
    expect(landed).toHaveLength(1)
  })
})
