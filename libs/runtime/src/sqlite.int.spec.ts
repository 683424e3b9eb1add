import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type EventLog,
  eventsTopic,
  logTopic,
  openSnapshotDirectory,
  openSqliteLog,
} from '@serverless-ai/eventlog'
import { type Ports, RpcError, uuidV7 } from '@serverless-ai/kernel'
import {
  systemClock,
  systemDisk,
  systemRandomness,
  systemTimers,
} from '@serverless-ai/kernel/system'
import { RecordingLogger } from '@serverless-ai/kernel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RuntimeOptions } from './context.ts'
import { createRuntime } from './runtime.ts'
import { bank } from './testing/bank.ts'
import type { Bank } from './testing/world.ts'

let directory = ''
let log: EventLog
/** The wall clock is ahead of that of this machine by so much, ms. */
let aheadMs = 0
const DAY_MS = 86_400_000
const ports: Ports = {
  clock: {
    wallMs: () => systemClock.wallMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs(),
    bootMs: () => systemClock.bootMs(),
  },
  timers: systemTimers,
  randomness: systemRandomness,
  disk: systemDisk,
  logger: new RecordingLogger(),
}

const open = async (): Promise<EventLog> => {
  log = await openSqliteLog({ directory: join(directory, 'log'), ports })
  return log
}

function runtimeOn(eventLog: EventLog, name = 'bank', options: RuntimeOptions = {}): Bank {
  const snapshots = openSnapshotDirectory({ directory: join(directory, 'snapshots'), ports })
  const feed = async (): Promise<never> => {
    throw new RpcError({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', message: 'no peers here' })
  }
  const other = name === 'bank' ? {} : { other: 'bank' }
  const environment = { eventLog, snapshots, feed, replica: 'r1', address: 'x:1', partition: 0 }
  return createRuntime(bank({ name, ...other }), environment, ports, options)
}

beforeEach(async () => {
  aheadMs = 0
  directory = await mkdtemp(join(tmpdir(), 'runtime-sqlite-'))
})

afterEach(async () => {
  await log.close()
  await rm(directory, { recursive: true, force: true })
})

describe('a runtime on SQLite', () => {
  it('answers many callers in few commits and has it all after a restart', async () => {
    const first = runtimeOn(await open())
    await first.start()
    const random = systemRandomness.bytes(10)
    const requestId = uuidV7(systemClock.wallMs(), random)
    const request = { requestId, bodyHash: systemRandomness.bytes(32) }
    const told = await first.execute({ type: 'Add', key: 'once', n: 1 }, request)
    const callers = Array.from({ length: 64 }, async () => {
      for (let i = 0; i < 20; i += 1) await first.execute({ type: 'Add', key: 'a', n: 1 })
    })
    await Promise.all(callers)
    expect(first.status().position).toBeLessThan(1 + 1280 / 4)
    const before = await first.digest()
    const published = first.status().publicSeq
    expect(published).toBe(1281)
    await first.stop()
    await log.close()

    const second = runtimeOn(await open())
    await second.start()
    const { value } = await second.read((state) => Object.fromEntries(state.accounts))
    expect(value).toEqual({ once: 1, a: 1280 })
    expect(await second.execute({ type: 'Add', key: 'once', n: 1 }, request)).toEqual(told)
    const past = await second.readAt(before.position, (state) => state.accounts.get('a'))
    expect(past).toBe(1280)
    await second.stop()
  })

  it('feeds another service in the same process', async () => {
    const eventLog = await open()
    const [from, to] = [runtimeOn(eventLog), runtimeOn(eventLog, 'sink')]
    await Promise.all([from.start(), to.start()])
    const { position } = await from.execute({ type: 'AddMany', key: 'many', count: 5000 })
    const { value } = await to.read((state) => state.seen.get('many'), { minPosition: position })
    expect(value).toBe(5000)
    await Promise.all([from.stop(), to.stop()])
  })

  it('removes what is older than its retention, and starts on what is left', async () => {
    const options = { retentionMs: 14 * DAY_MS }
    let tenth = 0
    for (let day = 0; day < 40; day += 10) {
      const runtime = runtimeOn(await open(), 'bank', options)
      await runtime.start()
      for (let i = 0; i < 10; i += 1) {
        aheadMs += DAY_MS
        await runtime.execute({ type: 'Add', key: 'a', n: 1 })
      }
      tenth ||= runtime.status().position
      await runtime.stop()
      await log.close()
    }
    const runtime = runtimeOn(await open(), 'bank', options)
    await runtime.start()
    // Trimming goes on beside the start, in steps.
    const startOf = async (topic: string): Promise<number> =>
      (await log.range({ topic, partition: 0 })).start
    const patient = { timeout: 20_000 }
    await expect.poll(() => startOf(logTopic('bank')), patient).toBeGreaterThan(tenth)
    await expect.poll(() => startOf(eventsTopic('bank')), patient).toBeGreaterThan(0)
    const { value } = await runtime.read((state) => state.accounts.get('a'))
    expect(value).toBe(40)
    const start = await startOf(logTopic('bank'))
    expect(await runtime.readAt(start, (state) => state.events)).toBeLessThanOrEqual(26)
    const gone = runtime.readAt(start - 1, () => 1)
    await expect(gone).rejects.toMatchObject({ reason: 'POSITION_OUT_OF_RANGE' })
    await runtime.stop()
  })
})
