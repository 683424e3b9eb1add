import { type FileHandle, open } from 'node:fs/promises'
import type { Timers } from '@serverless-ai/kernel'
import { rotatedPath } from '../../adapters/os/output.ts'
import { codeOf } from '../../core/errors.ts'
import type { LogQuery, LogSource } from '../agent/log-source.ts'
import type { FileNodeStore } from './store.ts'

/** Largest piece of a log, bytes. */
const CHUNK_BYTES = 64 * 1024
/** How often a followed log is looked at, ms. */
const FOLLOW_MS = 200
/** How long a task that is followed may be prepared before its log is given up, ms. */
const APPEAR_MS = 120_000
const NEWLINE = 10

const LOST_NOTE = '[serverless-ai: a part of the log was rotated away before it was read]\n'

/** The log cannot be read. */
class LogMissingError extends Error {
  override readonly name = 'LogMissingError'
}

async function tryOpen(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function inodeOf(file: FileHandle): Promise<bigint> {
  return (await file.stat({ bigint: true })).ino
}

/** The files there are now, oldest first. */
async function openFiles(path: string): Promise<FileHandle[]> {
  // The newest first: a rotation in between shows the same file twice, never misses one.
  const newest = await tryOpen(path)
  const older = await tryOpen(rotatedPath(path))
  if (newest === undefined) return older === undefined ? [] : [older]
  if (older === undefined) return [newest]
  if ((await inodeOf(newest)) === (await inodeOf(older))) {
    await older.close()
    return [newest]
  }
  return [older, newest]
}

/** Offset at which the last `lines` lines of a file begin, and how many lines it has of those. */
async function tailOffset(file: FileHandle, lines: number) {
  const { size } = await file.stat()
  const buffer = new Uint8Array(CHUNK_BYTES)
  let found = 0
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const { bytesRead } = await file.read(buffer, 0, end - start, start)
    for (let i = bytesRead - 1; i >= 0; i -= 1) {
      // A newline at the very end belongs to the last line.
      if (buffer[i] !== NEWLINE || start + i === size - 1) continue
      found += 1
      if (found === lines) return { offset: start + i + 1, lines: found }
    }
    end = start
  }
  return { offset: 0, lines: size > 0 ? found + 1 : 0 }
}

/** Reads the log of one execution across rotations. */
class LogReading {
  private readonly store: FileNodeStore
  private readonly query: LogQuery
  private readonly waiting: FileHandle[] = []
  private file: FileHandle | undefined
  private offset = 0
  private readonly buffer = new Uint8Array(CHUNK_BYTES)

  constructor(store: FileNodeStore, query: LogQuery) {
    this.store = store
    this.query = query
  }

  /** Finds the log and the first byte wanted; false when there is no log yet. */
  async begin(): Promise<boolean> {
    const path = this.store.findLog(this.query.key)
    if (path === undefined) return false
    const files = await openFiles(path)
    this.file = files.at(0)
    this.waiting.push(...files.slice(1))
    const { tailLines } = this.query
    const newest = files.at(-1)
    if (tailLines === 0 || newest === undefined) return true
    const inNewest = await tailOffset(newest, tailLines)
    if (newest === this.file) this.offset = inNewest.offset
    else if (inNewest.lines >= tailLines) {
      await this.next()
      this.offset = inNewest.offset
    } else if (this.file !== undefined) {
      this.offset = (await tailOffset(this.file, tailLines - inNewest.lines)).offset
    }
    return true
  }

  /** The next bytes of the current file; undefined at its end. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.file === undefined) return undefined
    const { bytesRead } = await this.file.read(this.buffer, 0, CHUNK_BYTES, this.offset)
    this.offset += bytesRead
    return bytesRead === 0 ? undefined : this.buffer.slice(0, bytesRead)
  }

  /** Goes to the next file there is already. */
  async next(): Promise<boolean> {
    const file = this.waiting.shift()
    if (file === undefined) return false
    await this.file?.close()
    this.file = file
    this.offset = 0
    return true
  }

  /** Goes to a file that a rotation has made. `lost` = the one in between is gone already. */
  async rotated(): Promise<'no' | 'yes' | 'lost'> {
    const path = this.store.findLog(this.query.key)
    if (path === undefined || this.file === undefined) return 'no'
    const files = await openFiles(path)
    const current = await inodeOf(this.file)
    const inodes = await Promise.all(files.map(inodeOf))
    const at = inodes.indexOf(current)
    if (at === files.length - 1 || files.length === 0) {
      await Promise.all(files.map((file) => file.close()))
      return 'no'
    }
    await Promise.all(files.slice(0, at + 1).map((file) => file.close()))
    this.waiting.push(...files.slice(at + 1))
    await this.next()
    return at < 0 ? 'lost' : 'yes'
  }

  async close(): Promise<void> {
    await this.file?.close()
    await Promise.all(this.waiting.map((file) => file.close()))
  }
}

/**
 * A log in pieces of at most 64 KiB, oldest byte first.
 *
 * @throws {LogMissingError} when there is no log and it is not to be waited for.
 */
async function* readLog(
  store: FileNodeStore,
  timers: Timers,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reading = new LogReading(store, query)
  try {
    for (let waitedMs = 0; !(await reading.begin()); waitedMs += FOLLOW_MS) {
      if (!query.follow || waitedMs > APPEAR_MS || store.hasEnded(query.key)) {
        throw new LogMissingError('it has written nothing, or its log was removed')
      }
      await timers.sleep(FOLLOW_MS, signal)
    }
    for (;;) {
      // Asked before the end of the file is seen: what is written afterwards is not missed.
      const ended = !query.follow || store.hasEnded(query.key)
      for (let data = await reading.read(); data; data = await reading.read()) yield data
      if (await reading.next()) continue
      const rotated = await reading.rotated()
      if (rotated === 'lost') yield new TextEncoder().encode(LOST_NOTE)
      if (rotated !== 'no') continue
      if (ended) return
      await timers.sleep(FOLLOW_MS, signal)
    }
  } finally {
    await reading.close()
  }
}

/** Logs as a node's directory keeps them. */
export function fileLogs(store: FileNodeStore, timers: Timers): LogSource {
  return { read: (query, signal) => readLog(store, timers, query, signal) }
}
