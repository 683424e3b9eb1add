import type { Randomness, Timers } from '@serverless-ai/kernel'
import { checkAddress, checkEntries } from '../checks.ts'
import { LogClosedError } from '../errors.ts'
import {
  AppendOutcomeUnknownError,
  AppendRefusedError,
  type EventLog,
  type FetchResult,
  type LogAddress,
  type LogEntry,
} from '../port.ts'
import { drawDelayMs, drawFate, type Fate, type MemoryLogFaults } from './faults.ts'
import {
  createMemoryLogStore,
  endOf,
  land,
  type MemoryLogStore,
  type MemoryPartition,
  slice,
  trim,
} from './store.ts'

/** How to open a memory log. */
export interface MemoryLogOptions {
  readonly ports: { readonly timers: Timers; readonly randomness: Randomness }
  /** Shared by all who open the same log; a new empty one by default. */
  readonly store?: MemoryLogStore
  readonly faults?: MemoryLogFaults
}

/** One opener of a memory log: as one process would hold it. */
export interface MemoryLog extends EventLog {
  readonly store: MemoryLogStore
  /** Faults from now on; undefined ends them. */
  setFaults(faults: MemoryLogFaults | undefined): void
  /** As SIGSTOP would: no call begins or returns until `resume`; what was sent still lands. */
  pause(): void
  resume(): void
  /** As SIGKILL would: no call ever returns again, none begins; what was sent still lands. */
  kill(): void
}

type FetchOptions = Parameters<EventLog['fetch']>[1]

/** Opens a memory log. */
export function openMemoryLog(options: MemoryLogOptions): MemoryLog {
  return new MemoryLogOpener(options)
}

class MemoryLogOpener implements MemoryLog {
  readonly kind = 'memory'
  readonly durability = 'nothing: it lives as long as the process'
  readonly store: MemoryLogStore
  readonly #timers: Timers
  readonly #ownRandomness: Randomness
  readonly #closing = new AbortController()
  #faults: MemoryLogFaults
  #gate: Promise<void> | undefined
  #openGate: () => void = () => undefined
  #killed = false

  constructor(options: MemoryLogOptions) {
    this.#timers = options.ports.timers
    this.#ownRandomness = options.ports.randomness
    this.store = options.store ?? createMemoryLogStore()
    this.#faults = options.faults ?? {}
  }

  get #randomness(): Randomness {
    return this.#faults.randomness ?? this.#ownRandomness
  }

  async append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    await this.#pass()
    checkEntries(address, entries)
    this.#refuseIfClosed()
    const partition = this.store.partition(address)
    const faults = this.#faults
    const fate = drawFate(faults, this.#randomness)
    const ackDelayMs = drawDelayMs(faults.ackDelayMs, this.#randomness)
    const sent = this.#send(partition, entries, fate)
    const position = typeof sent === 'number' ? sent : await sent
    if (ackDelayMs > 0) await this.#timers.sleep(ackDelayMs)
    await this.#pass()
    if (position === undefined) {
      throw new AppendOutcomeUnknownError('no acknowledgement: the entries may be in the log')
    }
    return { position }
  }

  /** Puts the entries on their way; position when the caller will be told of it. */
  #send(
    partition: MemoryPartition,
    entries: readonly LogEntry[],
    fate: Fate,
  ): number | Promise<number | undefined> {
    const sendDelayMs = drawDelayMs(this.#faults.sendDelayMs, this.#randomness)
    const copyDelayMs = drawDelayMs(this.#faults.lateDelayMs ?? [1, 50], this.#randomness)
    // What is on its way is the network's: it lands whatever becomes of the sender.
    const deliver = (): number | undefined => {
      if (fate === 'lost') return undefined
      if (fate === 'late') {
        this.#timers.after(copyDelayMs, () => land(partition, copies))
        return undefined
      }
      const position = land(partition, copies)
      if (fate === 'duplicate') {
        this.#timers.after(copyDelayMs, () => land(partition, copies))
      }
      return fate === 'unknown' ? undefined : position
    }
    const copies = entries.map((entry) => ({ ...entry, value: new Uint8Array(entry.value) }))
    if (sendDelayMs === 0) {
      const position = deliver()
      return position ?? Promise.resolve(undefined)
    }
    return this.#timers.sleep(sendDelayMs).then(deliver)
  }

  async fetch(address: LogAddress, options: FetchOptions): Promise<FetchResult> {
    await this.#pass()
    checkAddress(address)
    options.signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new LogClosedError()
    const partition = this.store.partition(address)
    const { from, waitMs, signal } = options
    if (from === endOf(partition) && waitMs > 0) await this.#waitForMore(partition, waitMs, signal)
    const maxBytes = this.#tear(options.maxBytes)
    const records = slice(partition, from, maxBytes)
    const result = { records, start: partition.start, end: endOf(partition) }
    const delayMs = drawDelayMs(this.#faults.readDelayMs, this.#randomness)
    if (delayMs > 0) await this.#timers.sleep(delayMs, signal)
    await this.#pass()
    return result
  }

  #tear(maxBytes: number): number {
    const share = this.#faults.tornShare ?? 0
    if (share === 0 || this.#randomness.float() >= share) return maxBytes
    return Math.floor(this.#randomness.float() * maxBytes)
  }

  /** Resolves on a new record or after `waitMs`; rejects on abort and close. */
  #waitForMore(
    partition: MemoryPartition,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const closing = this.#closing.signal
      const end = (): void => {
        timer.cancel()
        partition.waiters.delete(onRecord)
        signal?.removeEventListener('abort', onAbort)
        closing.removeEventListener('abort', onClose)
      }
      const onRecord = (): void => {
        end()
        resolve()
      }
      const onAbort = (): void => {
        end()
        reject(signal?.reason)
      }
      const onClose = (): void => {
        end()
        reject(new LogClosedError())
      }
      const timer = this.#timers.after(waitMs, onRecord)
      partition.waiters.add(onRecord)
      signal?.addEventListener('abort', onAbort, { once: true })
      closing.addEventListener('abort', onClose, { once: true })
    })
  }

  async range(address: LogAddress): Promise<{ start: number; end: number }> {
    await this.#pass()
    checkAddress(address)
    if (this.#closing.signal.aborted) throw new LogClosedError()
    const partition = this.store.partition(address)
    return { start: partition.start, end: endOf(partition) }
  }

  async trim(address: LogAddress, below: number): Promise<void> {
    await this.#pass()
    checkAddress(address)
    this.#refuseIfClosed()
    trim(this.store.partition(address), below)
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }

  setFaults(faults: MemoryLogFaults | undefined): void {
    this.#faults = faults ?? {}
  }

  pause(): void {
    if (this.#gate !== undefined) return
    this.#gate = new Promise((resolve) => {
      this.#openGate = resolve
    })
  }

  resume(): void {
    if (this.#killed) return
    this.#gate = undefined
    this.#openGate()
  }

  kill(): void {
    this.#killed = true
    this.#gate = new Promise(() => undefined)
  }

  #refuseIfClosed(): void {
    if (this.#closing.signal.aborted) throw new AppendRefusedError('CLOSED', 'the log is closed')
  }

  /** Waits while paused, for ever when killed. */
  async #pass(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate
  }
}
