import type { Timers } from '@serverless-ai/kernel'
import { checkAddress, checkEntries } from '../checks.ts'
import { LogClosedError } from '../errors.ts'
import {
  AppendOutcomeUnknownError,
  AppendRefusedError,
  type EventLog,
  type FetchResult,
  type LogAddress,
  type LogEntry,
  LogOpenError,
  LogOutOfRangeError,
  type LogRecord,
} from '../port.ts'
import { pack, type Reply, unpack } from './protocol.ts'
import { TailCache } from './tail-cache.ts'
import { startWorker, type WorkerLink } from './worker-link.ts'

/** How to open a log in a SQLite file. */
export interface SqliteLogOptions {
  /** Absolute path of a directory of its own on a local disk; made when missing. */
  readonly directory: string
  readonly ports: { readonly timers: Timers }
  /**
   * The database file may not grow beyond this, bytes (whole pages of 4 KiB). Default: as the disk
   * allows.
   */
  readonly maxBytes?: number
}

/** Bytes of appends on their way to the worker; beyond, appends are refused. */
const IN_FLIGHT_MAX_BYTES = 256 * 1024 * 1024
const PAGE_BYTES = 4096

interface Partition {
  start: number
  end: number
  readonly cache: TailCache
  readonly waiters: Set<() => void>
}

type FetchOptions = Parameters<EventLog['fetch']>[1]

/**
 * Opens a log in a directory. One worker thread owns the file; one fsync serves all appends that
 * arrived while the last one ran. Exactly one process may have a directory open. Rejects with
 * {@link LogOpenError}.
 */
export async function openSqliteLog(options: SqliteLogOptions): Promise<EventLog> {
  const maxPages = Math.floor((options.maxBytes ?? 0) / PAGE_BYTES)
  const { link, partitions } = await startWorker({ directory: options.directory, maxPages })
  const log = new SqliteLog(link, options.ports.timers)
  for (const { address, start, end } of partitions) log.know(address, { start, end })
  return log
}

/** What a failed reply means to the caller. */
function errorOf(reply: Reply): Error {
  switch (reply.type) {
    case 'refused':
      return new AppendRefusedError(reply.code, reply.message)
    case 'unknown':
      return new AppendOutcomeUnknownError(reply.message)
    case 'damaged':
      return new LogOpenError('DAMAGED', reply.path, reply.message)
    default:
      return new Error(`unexpected reply: ${reply.type}`)
  }
}

class SqliteLog implements EventLog {
  readonly kind = 'sqlite'
  readonly durability = 'power loss: each append is on the disk (fsync) before it is acknowledged'
  readonly #link: WorkerLink
  readonly #timers: Timers
  readonly #partitions = new Map<string, Partition>()
  readonly #closing = new AbortController()
  #inFlightBytes = 0
  #closed: Promise<void> | undefined

  constructor(link: WorkerLink, timers: Timers) {
    this.#link = link
    this.#timers = timers
  }

  /** Tells where a partition stands at the start. */
  know(address: LogAddress, range: { start: number; end: number }): void {
    const partition = { ...range, cache: new TailCache(), waiters: new Set<() => void>() }
    this.#partitions.set(`${address.topic}/${address.partition}`, partition)
  }

  #partition(address: LogAddress): Partition {
    const name = `${address.topic}/${address.partition}`
    const found = this.#partitions.get(name)
    if (found !== undefined) return found
    checkAddress(address)
    this.know(address, { start: 0, end: 0 })
    return this.#partition(address)
  }

  async append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    checkEntries(address, entries)
    if (this.#closing.signal.aborted) throw new AppendRefusedError('CLOSED', 'the log is closed')
    const partition = this.#partition(address)
    const packed = pack(entries)
    const bytes = packed.buffer.byteLength
    if (this.#inFlightBytes + bytes > IN_FLIGHT_MAX_BYTES) {
      throw new AppendRefusedError('IO', 'the disk does not keep up: too much is in flight')
    }
    this.#inFlightBytes += bytes
    // The buffer moves to the worker; readers at the tail get a copy.
    const copies = unpack({ ...packed, buffer: packed.buffer.slice(0) })
    try {
      const reply = await this.#link.request({ type: 'append', id: 0, address, packed }, [
        packed.buffer,
      ])
      if (reply.type !== 'appended') throw errorOf(reply)
      this.#landed(partition, reply.position, copies)
      return { position: reply.position }
    } finally {
      this.#inFlightBytes -= bytes
    }
  }

  /** Acknowledgements come in the order of the log. */
  #landed(partition: Partition, position: number, entries: readonly LogEntry[]): void {
    partition.cache.add(position, entries)
    partition.end = position + entries.length
    for (const wake of [...partition.waiters]) wake()
  }

  async fetch(address: LogAddress, options: FetchOptions): Promise<FetchResult> {
    const { from, maxBytes, waitMs, signal } = options
    signal?.throwIfAborted()
    this.#throwIfClosed()
    const partition = this.#partition(address)
    if (from === partition.end && waitMs > 0) await this.#waitForMore(partition, waitMs, signal)
    const { start, end } = partition
    if (from < start || from > end) throw new LogOutOfRangeError({ from, start, end })
    if (from === end) return { records: [], start, end }
    const cached = partition.cache.read(from, maxBytes)
    if (cached !== undefined) return { records: cached, start, end }
    const records = await this.#read(address, from, maxBytes)
    signal?.throwIfAborted()
    // Trimmed while the worker read: out of range now.
    if (records.length === 0) return this.fetch(address, { ...options, waitMs: 0 })
    return { records, start: partition.start, end: partition.end }
  }

  async #read(address: LogAddress, from: number, maxBytes: number): Promise<LogRecord[]> {
    const request = { type: 'read', id: 0, address, from, maxBytes } as const
    const reply = await this.#link.request(request)
    if (reply.type !== 'read') throw errorOf(reply)
    return unpack(reply.packed).map((entry, index) => ({ ...entry, position: from + index }))
  }

  /** Resolves on a new record or after `waitMs`; rejects on abort and close. */
  #waitForMore(
    partition: Partition,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const closing = this.#closing.signal
      const settle = (then: () => void): void => {
        timer.cancel()
        partition.waiters.delete(onRecord)
        signal?.removeEventListener('abort', onAbort)
        closing.removeEventListener('abort', onClose)
        then()
      }
      const onRecord = (): void => settle(resolve)
      const onAbort = (): void => settle(() => reject(signal?.reason))
      const onClose = (): void => settle(() => reject(new LogClosedError()))
      const timer = this.#timers.after(waitMs, onRecord)
      partition.waiters.add(onRecord)
      signal?.addEventListener('abort', onAbort, { once: true })
      closing.addEventListener('abort', onClose, { once: true })
    })
  }

  async range(address: LogAddress): Promise<{ start: number; end: number }> {
    this.#throwIfClosed()
    const { start, end } = this.#partition(address)
    return { start, end }
  }

  async trim(address: LogAddress, below: number): Promise<void> {
    if (this.#closing.signal.aborted) throw new AppendRefusedError('CLOSED', 'the log is closed')
    const partition = this.#partition(address)
    const target = Math.min(below, partition.end)
    if (target <= partition.start) return
    // Readers are told first: what is being removed is no longer read.
    partition.start = target
    partition.cache.clear()
    const reply = await this.#link.request({ type: 'trim', id: 0, address, below: target })
    if (reply.type !== 'done') throw errorOf(reply)
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closing.abort()
      this.#closed = this.#link.close()
    }
    return this.#closed
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new LogClosedError()
  }
}
