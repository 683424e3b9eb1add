import type { Clock, Logger, Timers } from '@serverless-ai/kernel'
import { type FetchResult, LogOutOfRangeError } from '../port.ts'
import { KafkaLogError, LogGapError, missingTopic } from './errors.ts'
import type { KafkaWire, WirePiece } from './wire.ts'
import type { KafkaAddress } from './wire-brokers.ts'
import { kafkaErrorCode, WireError } from './wire-error.ts'

/** One wait at the broker, at most; a longer one is many of these, ms. */
const WAIT_SLICE_MS = 1000
const RETRY_MS = 100
/** So often may a broker show nothing where there is something before it counts as a gap. */
const EMPTY_MAX = 5

const FINAL: ReadonlySet<string> = new Set(['NOT_AUTHORIZED', 'NOT_AUTHENTICATED'])

/** What the reader needs. */
export interface ReaderOptions {
  readonly ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  readonly wire: Pick<KafkaWire, 'fetch' | 'range' | 'deleteBelow' | 'forgetLeader'>
  /** Brokers that fail are asked again for this long, ms. */
  readonly patienceMs: number
  /** Aborted when the log is closed. */
  readonly closing: AbortSignal
}

/** Reads by position. It never moves a reader: what is out of range or missing is an error. */
export class KafkaReader {
  readonly #options: ReaderOptions

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  /** See {@link EventLog.fetch}; `stop` throws when nobody waits any more. */
  async fetch(
    at: KafkaAddress,
    options: { from: number; maxBytes: number; waitMs: number; stop: () => void },
  ): Promise<FetchResult> {
    const { from, maxBytes, waitMs, stop } = options
    if (!Number.isSafeInteger(from)) throw new RangeError(`not a position: ${from}`)
    if (from < 0) throw new LogOutOfRangeError({ from, ...(await this.range(at)) })
    const { clock } = this.#options.ports
    const deadlineMs = clock.monotonicMs() + waitMs
    let empty = 0
    for (;;) {
      const restMs = Math.max(0, deadlineMs - clock.monotonicMs())
      const sliceMs = Math.ceil(Math.min(restMs, WAIT_SLICE_MS, this.#options.patienceMs / 2))
      const want = { from, maxBytes: Math.max(1, maxBytes), waitMs: sliceMs }
      const piece = await this.#piece(at, want)
      stop()
      if (piece.records.length > 0) return this.#checked(at, from, piece)
      // A leader that was cut off goes on answering, with nothing.
      if (sliceMs > 0) this.#options.wire.forgetLeader(at)
      // Another replica may know of a shorter end for a moment after it took over.
      const end = Math.max(piece.end, from)
      if (end > from) {
        empty += 1
        if (empty > EMPTY_MAX) throw new LogGapError({ ...at, from, found: from + 1, end })
      } else if (clock.monotonicMs() >= deadlineMs) {
        return { records: [], start: piece.start, end }
      }
    }
  }

  /** Reads once; knows the range when `from` is outside of it. */
  async #piece(
    at: KafkaAddress,
    want: { from: number; maxBytes: number; waitMs: number },
  ): Promise<WirePiece> {
    return this.#patiently(at, async () => {
      try {
        return await this.#options.wire.fetch(at, want)
      } catch (error) {
        if (!(error instanceof WireError) || error.code !== 'OFFSET_OUT_OF_RANGE') throw error
        const range = await this.#options.wire.range(at)
        if (want.from >= range.start && want.from <= range.end) throw error
        throw new LogOutOfRangeError({ from: want.from, ...range })
      }
    })
  }

  /** Records without a gap; what lies behind one is left for the next read, which then says so. */
  #checked(at: KafkaAddress, from: number, { records, start, end }: WirePiece): FetchResult {
    const found = records[0]!.position
    if (found !== from) throw new LogGapError({ ...at, from, found, end })
    const whole = records.findIndex(({ position }, index) => position !== from + index)
    const dense = whole < 0 ? records : records.slice(0, whole)
    return { records: dense, start, end: Math.max(end, from + dense.length) }
  }

  /** Lowest position kept and position of the next record. */
  range(at: KafkaAddress): Promise<{ start: number; end: number }> {
    return this.#patiently(at, () => this.#options.wire.range(at))
  }

  /** Deletes what is below `below`. */
  async trim(at: KafkaAddress, below: number): Promise<void> {
    const { start, end } = await this.range(at)
    const target = Math.min(below, end)
    if (target <= start) return
    await this.#patiently(at, () => this.#options.wire.deleteBelow(at, target))
  }

  /** Repeats while brokers fail in ways that pass, for as long as the patience lasts. */
  async #patiently<T>(at: KafkaAddress, ask: () => Promise<T>): Promise<T> {
    const { ports, patienceMs, closing } = this.#options
    const deadlineMs = ports.clock.monotonicMs() + patienceMs
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        closing.throwIfAborted()
        if (!(error instanceof WireError)) throw error
        // Repeating does not mend these, and wrong passwords again and again look like an attack.
        if (FINAL.has(kafkaErrorCode(error.code))) throw this.#failed(at, error)
        ports.logger.log('debug', 'Kafka did not answer', {
          code: error.code,
          error: error.message,
        })
        if (ports.clock.monotonicMs() >= deadlineMs) throw this.#failed(at, error)
        await ports.timers.sleep(RETRY_MS, closing)
      }
    }
  }

  #failed({ topic, partition }: KafkaAddress, error: WireError): KafkaLogError {
    const { code, message } = error
    if (code === 'UNKNOWN_TOPIC_OR_PARTITION' || code === 'UNKNOWN_TOPIC_ID') {
      return missingTopic(topic, partition)
    }
    if (code.endsWith('AUTHORIZATION_FAILED')) {
      const text = `${topic} may not be read (${message}): give this user the right to`
      return new KafkaLogError('NOT_AUTHORIZED', text, error)
    }
    const text = `${topic}/${partition} cannot be read: ${message}`
    return new KafkaLogError(kafkaErrorCode(code), text, error)
  }
}
