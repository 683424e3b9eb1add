import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemTimers } from '@serverless-ai/kernel/system'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { EventLog, LogEntry } from '../port.ts'
import { openSqliteLog } from './open.ts'

const root = mkdtempSync(join(tmpdir(), 'sqlite-full-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const newDirectory = (): string => mkdtempSync(join(root, 'log-'))

const open = (directory: string, maxBytes?: number): Promise<EventLog> => {
  const ports = { timers: systemTimers }
  return openSqliteLog(
    maxBytes === undefined ? { directory, ports } : { directory, ports, maxBytes },
  )
}

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const entry = (value: string | Uint8Array): LogEntry => ({
  key: '',
  headers: {},
  value: Buffer.from(value),
})

/** Fills the log until it is refused; returns how many records were acknowledged. */
async function fill(log: EventLog): Promise<number> {
  for (let count = 0; ; count += 1) {
    try {
      await log.append(address, [entry(new Uint8Array(50_000).fill(count))])
    } catch (error) {
      expect(error).toMatchObject({ name: 'AppendRefusedError', code: 'DISK_FULL' })
      return count
    }
  }
}

async function checkFullDisk(log: EventLog): Promise<void> {
  const count = await fill(log)
  expect(count).toBeGreaterThan(10)
  expect(await log.range(address)).toEqual({ start: 0, end: count })
  const big = entry(new Uint8Array(50_000))
  const together = await Promise.allSettled(
    Array.from({ length: 8 }, () => log.append(address, [big, big])),
  )
  expect(new Set(together.map((each) => each.status))).toEqual(new Set(['rejected']))
  expect(await log.range(address)).toEqual({ start: 0, end: count })
  let seen = 0
  while (seen < count) {
    const { records } = await log.fetch(address, { from: seen, maxBytes: 1 << 20, waitMs: 0 })
    for (const record of records) {
      expect(record.value.every((byte) => byte === record.position % 256)).toBe(true)
    }
    seen += records.length
  }
}

describe('sqlite log: a full disk', () => {
  const mounts: string[] = []
  afterEach(() => {
    for (const mount of mounts.splice(0)) execFileSync('umount', [mount])
  })

  it('refuses appends, loses nothing, and goes on when there is room again', async () => {
    const directory = newDirectory()
    const log = await open(directory, 4 * 1024 * 1024)
    await checkFullDisk(log)
    const { end } = await log.range(address)
    await log.trim(address, end - 5)
    expect(await log.append(address, [entry(new Uint8Array(50_000))])).toEqual({ position: end })
    await log.close()
    const again = await open(directory)
    expect(await again.range(address)).toEqual({ start: end - 5, end: end + 1 })
    await again.close()
  })

  it('does so on a real full file system', async ({ skip }) => {
    const mount = newDirectory()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', mount], { stdio: 'ignore' })
    } catch {
      return skip('mounting a small file system needs more rights than this user has')
    }
    mounts.push(mount)
    const ballast = join(mount, 'ballast')
    writeFileSync(ballast, new Uint8Array(2 * 1024 * 1024))
    const directory = join(mount, 'log')
    mkdirSync(directory)
    const log = await open(directory)
    await checkFullDisk(log)
    const { end } = await log.range(address)
    rmSync(ballast)
    expect(await log.append(address, [entry('room again')])).toEqual({ position: end })
    await log.close()
    const again = await open(directory)
    expect(await again.range(address)).toEqual({ start: 0, end: end + 1 })
    await again.close()
  })
})
