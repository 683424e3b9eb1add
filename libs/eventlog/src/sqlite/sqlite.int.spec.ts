import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { systemTimers } from '@serverless-ai/kernel/system'
import { afterAll, describe, expect, it } from 'vitest'
import type { EventLog, LogEntry } from '../port.ts'
import { eventLogContract } from '../testing/contract.ts'
import { address as contractAddress } from '../testing/contract-bench.ts'
import { POSITION_SPAN } from './database.ts'
import { openSqliteLog } from './open.ts'

const root = mkdtempSync(join(tmpdir(), 'sqlite-log-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const newDirectory = (): string => mkdtempSync(join(root, 'log-'))

const open = (directory: string): Promise<EventLog> =>
  openSqliteLog({ directory, ports: { timers: systemTimers } })

/** Closes the log, changes its file behind its back, and opens it again. */
async function edited(
  log: EventLog,
  init: { directory: string; edit: (db: DatabaseSync, base: number) => void },
): Promise<EventLog> {
  await log.close()
  const db = new DatabaseSync(join(init.directory, 'log.db'))
  const { topic, partition } = contractAddress
  const found = db.prepare('select id from partitions where topic = ? and number = ?')
  init.edit(db, Number(found.get(topic, partition)?.['id']) * POSITION_SPAN)
  db.close()
  return open(init.directory)
}

eventLogContract('sqlite', () => {
  const directory = newDirectory()
  const remove = 'delete from records where id >= ? and id < ?'
  return {
    exact: true,
    open: () => open(directory),
    reopen: () => open(directory),
    outside: {
      expire: (log, below) =>
        edited(log, {
          directory,
          edit: (db, base) => {
            db.prepare(remove).run(base, base + below)
            db.prepare('update partitions set start = ? where id = ?').run(
              below,
              base / POSITION_SPAN,
            )
          },
        }),
      restore: (log, end) =>
        edited(log, {
          directory,
          edit: (db, base) => db.prepare(remove).run(base + end, base + POSITION_SPAN),
        }),
    },
  }
})

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const entry = (value: string): LogEntry => ({
  key: '',
  headers: {},
  value: Buffer.from(value),
})

/** A directory with a log of `count` records that was closed. */
async function written(count = 100): Promise<string> {
  const directory = newDirectory()
  const log = await open(directory)
  for (let n = 0; n < count; n += 1) await log.append(address, [entry(`record ${n} `.repeat(100))])
  await log.close()
  return directory
}

interface Acknowledged {
  readonly partition: number
  readonly position: number
  readonly texts: readonly string[]
}

/**
 * Runs the appending process until it has acknowledged `count` appends, kills it, and returns all
 * it acknowledged.
 */
async function appendUntilKilled(options: {
  directory: string
  run: number
  count: number
}): Promise<Acknowledged[]> {
  const script = new URL('../testing/append-child.ts', import.meta.url).pathname
  const child = spawn(
    process.execPath,
    ['--conditions=sai-source', script, options.directory, `${options.run}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
  const acknowledged: Acknowledged[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.endsWith('}')) break
    acknowledged.push(JSON.parse(line))
    if (acknowledged.length === options.count) child.kill('SIGKILL')
  }
  expect(await ended).toBe('SIGKILL')
  return acknowledged
}

describe('sqlite log: killed processes', () => {
  it('loses no acknowledged record and keeps groups whole over kill -9', async () => {
    const directory = newDirectory()
    const acknowledged: Acknowledged[] = []
    for (let run = 0; run < 4; run += 1) {
      const count = 50 + Math.floor(Math.random() * 800)
      acknowledged.push(...(await appendUntilKilled({ directory, run, count })))
    }
    expect(acknowledged.length).toBeGreaterThan(200)
    const log = await open(directory)
    for (let partition = 0; partition < 3; partition += 1) {
      const from = { topic: 'serverlessai.log.kill.v1', partition }
      const { start, end } = await log.range(from)
      const texts: string[] = []
      while (texts.length < end) {
        const options = { from: texts.length, maxBytes: 1 << 20, waitMs: 0 }
        const { records } = await log.fetch(from, options)
        texts.push(...records.map((each) => Buffer.from(each.value).toString().trimEnd()))
      }
      expect([start, texts.length]).toEqual([0, end])
      for (const ack of acknowledged.filter((each) => each.partition === partition)) {
        const found = texts.slice(ack.position, ack.position + ack.texts.length)
        expect(found).toEqual(ack.texts)
      }
      // Groups that nobody heard of are there whole or not at all.
      texts.forEach((text, index) => {
        const [run, lane, n, k] = text.split('/').map(Number)
        const group = `${run}/${lane}/${n}`
        const whole = Array.from({ length: 1 + (n! % 4) }, (_, each) => `${group}/${each}`)
        expect(texts.slice(index - k!, index - k! + whole.length)).toEqual(whole)
      })
    }
    await log.close()
  })
})

describe('sqlite log: one process at a time', () => {
  it('refuses a second opener, here and in another process, and names the directory', async () => {
    const directory = newDirectory()
    const log = await open(directory)
    const refused = { name: 'LogOpenError', code: 'IN_USE', path: directory }
    await expect(open(directory)).rejects.toMatchObject(refused)
    await expect(open(directory)).rejects.toThrow(directory)
    const url = new URL('./open.ts', import.meta.url).href
    const script = `
      import { openSqliteLog } from '${url}'
      await openSqliteLog({ directory: process.argv[1], ports: {} })
        .then(() => console.log('opened'), (error) => console.log(error.code))`
    const args = ['--conditions=sai-source', '--input-type=module', '-e', script, directory]
    expect(execFileSync(process.execPath, args).toString().trim()).toBe('IN_USE')
    await log.append(address, [entry('still mine')])
    await log.close()
    await (await open(directory)).close()
  })
})

describe('sqlite log: trimming', () => {
  it('lets appends and reads through while it removes many records', async () => {
    const log = await open(newDirectory())
    const many = Array.from({ length: 1000 }, (_, n) => entry(`${n}`))
    for (let n = 0; n < 20; n += 1) await log.append(address, many)
    const order: string[] = []
    const trimmed = log.trim(address, 19_990).then(() => order.push('trimmed'))
    const appended = log.append(address, [entry('new')]).then(() => order.push('appended'))
    await Promise.all([trimmed, appended])
    expect(order).toEqual(['appended', 'trimmed'])
    expect(await log.range(address)).toEqual({ start: 19_990, end: 20_001 })
    const { records } = await log.fetch(address, { from: 19_990, maxBytes: 1 << 20, waitMs: 0 })
    expect(records).toHaveLength(11)
    await log.close()
  })

  it('is taken up again where a close interrupted it', async () => {
    const directory = newDirectory()
    const log = await open(directory)
    for (let n = 0; n < 10; n += 1) {
      await log.append(address, new Array<LogEntry>(1000).fill(entry('x')))
    }
    const interrupted = log.trim(address, 9_999)
    const outcome = expect(interrupted).rejects.toMatchObject({ code: 'CLOSED' })
    await log.close()
    await outcome
    const again = await open(directory)
    const { start, end } = await again.range(address)
    expect([start < 9_999, end]).toEqual([true, 10_000])
    const { records } = await again.fetch(address, { from: start, maxBytes: 1 << 20, waitMs: 0 })
    expect(records[0]?.position).toBe(start)
    await again.trim(address, 9_999)
    expect(await again.range(address)).toEqual({ start: 9_999, end: 10_000 })
    await again.close()
  })
})

describe('sqlite log: damage is never a fresh start', () => {
  const files = (directory: string) => ({
    main: join(directory, 'log.db'),
    wal: join(directory, 'log.db-wal'),
    marker: join(directory, 'log.marker'),
  })

  const expectDamaged = async (directory: string): Promise<void> => {
    const opening = open(directory)
    await expect(opening).rejects.toMatchObject({ name: 'LogOpenError', code: 'DAMAGED' })
    await expect(opening).rejects.toThrow(files(directory).main)
    await expect(opening).rejects.toThrow(/restore .* from a backup, or move it away/)
  }

  it('leaves no WAL behind a clean close and marks the directory', async () => {
    const { main, wal, marker } = files(await written())
    expect([main, wal, marker].map((path) => existsSync(path))).toEqual([true, false, true])
  })

  it.each([
    ['is missing', (main: string) => rmSync(main)],
    ['is empty', (main: string) => truncateSync(main, 0)],
    ['is cut off', (main: string) => truncateSync(main, statSync(main).size / 2)],
    [
      'is something else',
      (main: string) => writeFileSync(main, 'not a database at all'.repeat(500)),
    ],
    ['has an overwritten page', (main: string) => overwrite(main, 5 * 4096)],
    ['lost its tables', (main: string) => dropTables(main)],
  ])('says so when the database %s', async (_what, damage) => {
    const directory = await written()
    damage(files(directory).main)
    const before = existsSync(files(directory).main)
    await expectDamaged(directory)
    expect(existsSync(files(directory).main), 'it was not touched').toBe(before)
  })

  it('says so when a read finds a record missing', async () => {
    const directory = await written()
    const db = new DatabaseSync(files(directory).main)
    db.exec('delete from records where id % 1099511627776 = 50')
    db.close()
    const log = await open(directory)
    const fetch = (from: number) => log.fetch(address, { from, maxBytes: 1 << 20, waitMs: 0 })
    await expect(fetch(10)).rejects.toMatchObject({ name: 'LogOpenError', code: 'DAMAGED' })
    await expect(fetch(50)).rejects.toThrow('record 50 is missing')
    expect((await fetch(51)).records[0]?.position).toBe(51)
    await log.close()
  })

  it('says so when only the WAL is left', async () => {
    const directory = await written()
    const { main, wal, marker } = files(directory)
    rmSync(main)
    rmSync(marker)
    writeFileSync(wal, 'left over')
    await expectDamaged(directory)
  })

  it('starts where the first start ended before it had made anything', async () => {
    const directory = newDirectory()
    writeFileSync(join(directory, 'log.lock'), '')
    writeFileSync(join(directory, 'log.db'), '')
    const log = await open(directory)
    expect(await log.append(address, [entry('first')])).toEqual({ position: 0 })
    await log.close()
  })

  function overwrite(path: string, at: number): void {
    const bytes = readFileSync(path)
    bytes.fill(0x5a, at, at + 4096)
    writeFileSync(path, bytes)
  }

  function dropTables(path: string): void {
    const db = new DatabaseSync(path)
    db.exec('drop table records; drop table partitions; drop table meta')
    db.close()
  }
})

describe('sqlite log: directories that will not do', () => {
  it('refuses data of a newer release and leaves it alone', async () => {
    const directory = await written()
    const db = new DatabaseSync(join(directory, 'log.db'))
    db.exec("update meta set value = 2 where name = 'schema_version'")
    db.close()
    const opening = open(directory)
    await expect(opening).rejects.toMatchObject({ code: 'NEWER_VERSION' })
    await expect(opening).rejects.toThrow('newer release (version 2')
  })

  it('refuses a path that cannot be a directory', async () => {
    const directory = newDirectory()
    writeFileSync(join(directory, 'file'), '')
    const opening = open(join(directory, 'file', 'log'))
    await expect(opening).rejects.toMatchObject({ code: 'NOT_WRITABLE' })
    await expect(opening).rejects.toThrow('name another data directory')
  })

  it('refuses a directory that its user may not write', async () => {
    const directory = newDirectory()
    const url = new URL('./directory.ts', import.meta.url).href
    // Root may write everywhere, so the check runs as a user that owns nothing.
    const script = `
      import { logFiles, prepareDirectory } from '${url}'
      if (process.getuid() === 0) process.setuid(65534)
      try { prepareDirectory(logFiles(process.argv[1])); console.log('fine') }
      catch (error) { console.log(error.code) }`
    const args = ['--conditions=sai-source', '--input-type=module', '-e', script, directory]
    chmodSync(directory, 0o555)
    chmodSync(root, 0o755)
    expect(execFileSync(process.execPath, args).toString().trim()).toBe('NOT_WRITABLE')
    chmodSync(directory, 0o777)
    expect(execFileSync(process.execPath, args).toString().trim()).toBe('fine')
  })
})
