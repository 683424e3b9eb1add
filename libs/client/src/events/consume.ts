import { type Clock, type Randomness, RpcError, type Timers, uuidV7 } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { judge, type Mark, NO_MARK, type PublicEvent, type SourceRecord } from './event.ts'
import {
  type BootstrapCause,
  type EventSource,
  type EventTable,
  HistoryReplacedError,
  MissedEventsError,
  type SnapshotSource,
  SourceError,
} from './ports.ts'

/** What to consume, and into what. */
export interface ConsumeOptions {
  readonly source: EventSource
  readonly snapshots: SnapshotSource
  readonly table: EventTable
  /**
   * Where an empty table begins. `history` (default): with the oldest event; when the first ones
   * are not kept any more, with the present state. `snapshot`: with the present state.
   */
  readonly begin?: 'history' | 'snapshot'
  /** Events of one transaction, 1 to 10,000. Default 500. */
  readonly batchMax?: number
  /** Ends the consumer after the transaction that runs. */
  readonly signal?: AbortSignal
  /** The present state was taken over. */
  readonly onBootstrap?: (report: BootstrapReport) => void
  /** The platform cannot be reached or is not ready; it is tried again after a pause. */
  readonly onTrouble?: (error: Error) => void
  /** A record that is no public event of this service was left out. */
  readonly onSkipped?: (record: SourceRecord) => void
  readonly clock?: Clock
  readonly timers?: Timers
  readonly randomness?: Randomness
}

/** What a bootstrap did. */
export interface BootstrapReport {
  readonly cause: BootstrapCause
  /** The mark that it began with. */
  readonly after: Mark
  /** The mark that it ended with. */
  readonly mark: Mark
  /** Events of the snapshot. */
  readonly events: number
}

const RETRY_MS = 100
const RETRY_MAX_MS = 5_000
/** Pause before the second and later bootstraps that brought nothing, ms; doubles. */
const REPEAT_MS = 1_000
const REPEAT_MAX_MS = 30_000
/** A snapshot that is older than the mark for so long is no moment of a change of leaders, ms. */
const OLDER_MS = 30_000

/** Codes after which the same call may well succeed. */
const PASSING: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'INTERNAL',
  'UNKNOWN',
])

function isPassing(error: unknown): error is Error {
  if (error instanceof SourceError) return error.passing
  if (!(error instanceof RpcError)) return false
  return PASSING.has(error.code) || error.reason === 'SNAPSHOT_EXPIRED'
}

/**
 * Consumes the public events of one partition into a table: each event once, in order. What was
 * missed is seen and mended by the present state of the service. Resolves when the signal is
 * aborted. Rejects with what the table throws, with {@link HistoryReplacedError}, and with errors
 * of the source that repeating cannot mend (no right to read, for example).
 */
export function consumeEvents(options: ConsumeOptions): Promise<void> {
  return new Consumer(options).run()
}

class Consumer {
  readonly #options: ConsumeOptions
  readonly #signal: AbortSignal
  readonly #timers: Timers
  readonly #clock: Clock
  readonly #randomness: Randomness
  readonly #batchMax: number
  /** As it is stored. */
  #stored: Mark | undefined
  #progress = false
  /** Bootstraps since the last event that was applied. */
  #bootstraps = 0
  #olderSinceMs: number | undefined

  constructor(options: ConsumeOptions) {
    const { batchMax = 500 } = options
    if (!Number.isInteger(batchMax) || batchMax < 1 || batchMax > 10_000) {
      throw new RangeError(`batchMax is 1 to 10,000, not ${batchMax}`)
    }
    this.#options = options
    this.#batchMax = batchMax
    this.#signal = options.signal ?? new AbortController().signal
    this.#timers = options.timers ?? systemTimers
    this.#clock = options.clock ?? systemClock
    this.#randomness = options.randomness ?? systemRandomness
  }

  async run(): Promise<void> {
    this.#stored = await this.#options.table.load()
    let pauseMs = RETRY_MS
    while (!this.#signal.aborted) {
      this.#progress = false
      try {
        await this.#step()
        pauseMs = RETRY_MS
      } catch (error) {
        if (this.#signal.aborted) return
        if (!isPassing(error)) throw error
        this.#options.onTrouble?.(error)
        if (this.#progress) pauseMs = RETRY_MS
        await this.#sleep(pauseMs * (0.5 + this.#randomness.float() / 2))
        pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)
      }
    }
  }

  /** Reads until events are missing, and takes over the present state. */
  async #step(): Promise<void> {
    const first = this.#stored === undefined && this.#options.begin === 'snapshot'
    const cause = first ? ({ kind: 'FIRST' } as const) : await this.#read()
    if (this.#signal.aborted) return
    await this.#bootstrap(cause)
  }

  async #sleep(ms: number): Promise<void> {
    await this.#timers.sleep(ms, this.#signal).catch(() => undefined)
  }

  async #read(): Promise<BootstrapCause> {
    const { source } = this.#options
    try {
      for await (const records of source.read(this.#stored ?? NO_MARK, this.#signal)) {
        const gap = await this.#take(records)
        if (gap !== undefined) return gap
        if (this.#signal.aborted) break
      }
    } catch (error) {
      if (!(error instanceof MissedEventsError)) throw error
      return { kind: 'OUT_OF_RANGE' }
    }
    throw new SourceError('the source ended', { passing: true })
  }

  /** Applies what is new; answers the gap that follows it, if there is one. */
  async #take(records: readonly SourceRecord[]): Promise<BootstrapCause | undefined> {
    let mark = this.#stored ?? NO_MARK
    let events: PublicEvent[] = []
    for (const record of records) {
      const { event, offset } = record
      if (event === undefined) {
        // One that cannot be read may have been an event: then the next one shows a gap.
        this.#options.onSkipped?.(record)
        continue
      }
      const verdict = judge(mark, event.seq)
      if (verdict === 'gap') {
        await this.#apply(events, mark)
        return { kind: 'GAP', found: event.seq }
      }
      if (verdict === 'repeated') continue
      events.push(event)
      mark = { seq: event.seq, offset: offset < 0 ? mark.offset : offset }
      if (events.length < this.#batchMax) continue
      await this.#apply(events, mark)
      if (this.#signal.aborted) return undefined
      events = []
    }
    await this.#apply(events, mark)
    return undefined
  }

  async #apply(events: readonly PublicEvent[], mark: Mark): Promise<void> {
    if (events.length === 0) return
    await this.#options.table.apply({ after: this.#stored, events, mark })
    this.#stored = mark
    this.#progress = true
    this.#bootstraps = 0
  }

  /** Takes over the present state; a failure leaves the table as it was. */
  async #bootstrap(cause: BootstrapCause): Promise<void> {
    if (this.#bootstraps > 0) {
      // A topic and snapshots that do not fit yet must not be asked in a loop.
      const pauseMs = REPEAT_MS * 2 ** (this.#bootstraps - 1)
      await this.#sleep(Math.min(pauseMs, REPEAT_MAX_MS))
      if (this.#signal.aborted) return
    }
    const { snapshots, table, onBootstrap } = this.#options
    const bootstrapId = uuidV7(this.#clock.wallMs(), this.#randomness.bytes(10))
    const after = this.#stored
    let pageToken = ''
    let events = 0
    for (let page = 0; ; page += 1) {
      const piece = await snapshots.page({ pageToken, signal: this.#signal })
      if (page === 0) this.#refuseOlder(cause, piece.mark)
      if (this.#signal.aborted) return
      await table.stage({ bootstrapId, page, events: piece.events })
      events += piece.events.length
      pageToken = piece.nextPageToken
      if (pageToken !== '') continue
      const { mark } = piece
      await table.swap({ bootstrapId, after, mark, cause })
      this.#stored = mark
      this.#bootstraps += 1
      this.#progress = true
      onBootstrap?.({ cause, after: after ?? NO_MARK, mark, events })
      return
    }
  }

  /**
   * What was published is committed, so the leader's state holds it. An older snapshot comes from a
   * leader that does not know yet that it is none, or the history was replaced.
   */
  #refuseOlder(cause: BootstrapCause, { seq }: Mark): void {
    const least = cause.kind === 'GAP' ? cause.found : (this.#stored?.seq ?? 0)
    if (seq >= least) {
      this.#olderSinceMs = undefined
      return
    }
    const text = `the present state is that of event ${seq}, but event ${least} was published`
    const nowMs = this.#clock.monotonicMs()
    this.#olderSinceMs ??= nowMs
    if (nowMs - this.#olderSinceMs >= OLDER_MS) {
      throw new HistoryReplacedError(`${text}: the platform's history was replaced by an older one`)
    }
    throw new SourceError(text, { passing: true })
  }
}
