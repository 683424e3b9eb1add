import { onAbort, type Randomness, type Timer, type Timers } from '@serverless-ai/kernel'
import { Gate } from '@serverless-ai/kernel/testing'
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
  /** The process that holds it; one of its own by default. Killing it is `kill`. */
  readonly gate?: Gate
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
  /**
   * As a network that is gone: reads get no answer, appends an unknown outcome after 10 s; until
   * `mend`. Some of what was sent meanwhile lands then, however late.
   */
  cut(): void
  mend(): void
}

/** How long the sender of an append waits for its acknowledgement over a cut line, ms. */
const CUT_TIMEOUT_MS = 10_000

type FetchOptions = Parameters<EventLog['fetch']>[1]

/** Opens a memory log. */
export function openMemoryLog(options: MemoryLogOptions): MemoryLog {
  return new MemoryLogOpener(options)
}

/** The caller's side of one call. Settles once, and only while the process lives and runs. */
interface Caller<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

class MemoryLogOpener implements MemoryLog {
  readonly kind = 'memory'
  readonly durability = 'nothing: it lives as long as the process'
  readonly store: MemoryLogStore
  readonly #timers: Timers
  readonly #ownRandomness: Randomness
  /** The process: shut while paused. */
  readonly #gate: Gate
  /** The network to the log: shut while cut. */
  readonly #line = new Gate()
  /** Reads that wait: what lets go of each, with an error or without a word. */
  readonly #waits = new Set<(error?: unknown) => void>()
  #faults: MemoryLogFaults
  #closed = false

  constructor(options: MemoryLogOptions) {
    this.#timers = options.ports.timers
    this.#ownRandomness = options.ports.randomness
    this.store = options.store ?? createMemoryLogStore()
    this.#faults = options.faults ?? {}
    this.#gate = options.gate ?? new Gate()
  }

  get #randomness(): Randomness {
    return this.#faults.randomness ?? this.#ownRandomness
  }

  /** A call: begins when the process runs, and everything it throws rejects it. */
  #call<T>(begin: (caller: Caller<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#gate.pass(() => {
        try {
          begin({ resolve, reject })
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  /** What comes back to the process: over the line, when the process runs. */
  #comeBack(fn: () => void): void {
    this.#line.pass(() => this.#gate.pass(fn))
  }

  #after(ms: number, fn: () => void): void {
    if (ms > 0) this.#timers.after(ms, fn)
    else fn()
  }

  append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    return this.#call((caller) => {
      checkEntries(address, entries)
      this.#refuse()
      const faults = this.#faults
      const fate = drawFate(faults, this.#randomness)
      const ackDelayMs = drawDelayMs(faults.ackDelayMs, this.#randomness)
      const sendDelayMs = drawDelayMs(faults.sendDelayMs, this.#randomness)
      const copies = entries.map((entry) => ({ ...entry, value: new Uint8Array(entry.value) }))
      const deliver = this.#delivery(this.store.partition(address), copies, fate)
      const unknown = (): void => {
        caller.reject(
          new AppendOutcomeUnknownError('no acknowledgement: the entries may be in the log'),
        )
      }
      if (this.#line.state === 'shut') {
        this.#unanswered(unknown)
        if (this.#randomness.float() < 0.5) this.#line.pass(deliver)
        return
      }
      // What is on its way is the network's: it lands whatever becomes of the sender.
      this.#after(sendDelayMs, () => {
        const position = deliver()
        this.#after(ackDelayMs, () => {
          if (this.#line.state === 'shut') this.#unanswered(unknown)
          this.#comeBack(() => (position === undefined ? unknown() : caller.resolve({ position })))
        })
      })
    })
  }

  #unanswered(unknown: () => void): void {
    this.#timers.after(CUT_TIMEOUT_MS, () => this.#gate.pass(unknown))
  }

  /** Puts the entries into the log; answers the position when the caller will be told of it. */
  #delivery(
    partition: MemoryPartition,
    copies: readonly LogEntry[],
    fate: Fate,
  ): () => number | undefined {
    const later = (): void => {
      const delayMs = drawDelayMs(this.#faults.lateDelayMs ?? [1, 50], this.#randomness)
      this.#timers.after(delayMs, () => land(partition, copies))
    }
    return () => {
      if (fate === 'lost') return undefined
      if (fate === 'late') {
        later()
        return undefined
      }
      const position = land(partition, copies)
      if (fate === 'duplicate') later()
      return fate === 'unknown' ? undefined : position
    }
  }

  fetch(address: LogAddress, options: FetchOptions): Promise<FetchResult> {
    return this.#call((caller) => {
      checkAddress(address)
      options.signal?.throwIfAborted()
      if (this.#closed) throw new LogClosedError()
      this.#read(this.store.partition(address), options, caller)
    })
  }

  /** Waits for records if there are none, then reads; lets go of everything on any end. */
  #read(partition: MemoryPartition, options: FetchOptions, caller: Caller<FetchResult>): void {
    const { from, waitMs, signal } = options
    const delayMs = drawDelayMs(this.#faults.readDelayMs, this.#randomness)
    let timer: Timer | undefined
    const release = (): void => {
      timer?.cancel()
      partition.waiters.delete(look)
      letGo?.()
      this.#waits.delete(end)
    }
    const end = (error?: unknown): void => {
      release()
      if (error !== undefined) this.#gate.pass(() => caller.reject(error))
    }
    const look = (): void => {
      timer?.cancel()
      partition.waiters.delete(look)
      try {
        const result = this.#slice(partition, from, options.maxBytes)
        const give = (): void => {
          release()
          caller.resolve(result)
        }
        if (delayMs > 0) timer = this.#timers.after(delayMs, () => this.#comeBack(give))
        else this.#comeBack(give)
      } catch (error) {
        end(error)
      }
    }
    this.#waits.add(end)
    const letGo = signal && onAbort(signal, () => end(signal.reason))
    if (from === endOf(partition) && waitMs > 0) {
      timer = this.#timers.after(waitMs, look)
      partition.waiters.add(look)
    } else look()
  }

  #slice(partition: MemoryPartition, from: number, maxBytes: number): FetchResult {
    const records = slice(partition, from, this.#tear(maxBytes))
    return { records, start: partition.start, end: endOf(partition) }
  }

  #tear(maxBytes: number): number {
    const share = this.#faults.tornShare ?? 0
    if (share === 0 || this.#randomness.float() >= share) return maxBytes
    return Math.floor(this.#randomness.float() * maxBytes)
  }

  range(address: LogAddress): Promise<{ start: number; end: number }> {
    return this.#call((caller) => {
      checkAddress(address)
      if (this.#closed) throw new LogClosedError()
      const partition = this.store.partition(address)
      const found = { start: partition.start, end: endOf(partition) }
      this.#comeBack(() => caller.resolve(found))
    })
  }

  trim(address: LogAddress, below: number): Promise<void> {
    return this.#call((caller) => {
      checkAddress(address)
      this.#refuse()
      this.#line.pass(() => trim(this.store.partition(address), below))
      this.#comeBack(() => caller.resolve())
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const end of [...this.#waits]) end(new LogClosedError())
  }

  setFaults(faults: MemoryLogFaults | undefined): void {
    this.#faults = faults ?? {}
  }

  pause(): void {
    this.#gate.shut()
  }

  resume(): void {
    this.#gate.open()
  }

  kill(): void {
    this.#gate.kill()
    // What had not left over a cut line dies with its sender.
    this.#line.kill()
    for (const end of [...this.#waits]) end()
  }

  cut(): void {
    this.#line.shut()
  }

  mend(): void {
    this.#line.open()
  }

  /** Throws when nothing may be changed. */
  #refuse(): void {
    if (this.#closed) throw new AppendRefusedError('CLOSED', 'the log is closed')
    if (this.#faults.full === true) {
      throw new AppendRefusedError('DISK_FULL', 'no space left for the log: make room')
    }
  }
}
