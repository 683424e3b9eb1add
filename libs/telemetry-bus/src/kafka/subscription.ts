import { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { type LogAddress, LogOutOfRangeError, type LogRecord } from '@serverless-ai/eventlog'
import type { KafkaRecords } from '@serverless-ai/eventlog/kafka'
import { AsyncChannel, type Clock, type Logger, type Timers } from '@serverless-ai/kernel'
import type { ReceivedBatch, TelemetrySubscription } from '../port.ts'
import { SourceMarks } from '../source-marks.ts'

/** Batches that wait for the reader; the rest waits on the brokers. */
const MAX_WAITING = 1_000
/** Taken from the brokers at once, bytes. */
const FETCH_MAX_BYTES = 4 * 1024 * 1024
/** One wait for new batches, ms. */
const WAIT_MS = 30_000
/** Pause after brokers failed for longer than the driver is patient, ms. */
const PAUSE_MS = 1_000
/** How often a full buffer is looked at again, ms. */
const ROOM_MS = 20

/** What reading needs. */
export interface SubscriptionOptions {
  readonly records: Pick<KafkaRecords, 'fetch' | 'range'>
  readonly address: LogAddress
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly onClose: () => void
}

/**
 * Reads a partition from its present end on, by position: no group, nothing is written down. A slow
 * reader holds the reading back; what the brokers have not kept until it comes is missing.
 */
export class KafkaSubscription implements TelemetrySubscription {
  readonly #options: SubscriptionOptions
  readonly #marks = new SourceMarks()
  readonly #channel: AsyncChannel<ReceivedBatch>
  readonly #closing = new AbortController()
  #failing = false

  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#channel = new AsyncChannel({ max: MAX_WAITING, onClose: () => this.close() })
    void this.#follow()
  }

  get counts(): TelemetrySubscription['counts'] {
    return this.#marks.counts
  }

  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new Error('the subscription is closed'))
    this.#channel.end()
    this.#options.onClose()
  }

  [Symbol.asyncIterator](): AsyncIterator<ReceivedBatch> {
    return this.#channel[Symbol.asyncIterator]()
  }

  async #follow(): Promise<void> {
    const { records, address, timers } = this.#options
    const { signal } = this.#closing
    const options = { maxBytes: FETCH_MAX_BYTES, waitMs: WAIT_MS, signal }
    let from: number | undefined
    while (!signal.aborted) {
      try {
        from ??= (await records.range(address)).end
        const fetched = await records.fetch(address, { ...options, from })
        this.#works()
        for (const record of fetched.records) await this.#take(record)
        from += fetched.records.length
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof LogOutOfRangeError && from !== undefined) {
          // Older than what is kept, or the brokers lost what they had: on with what is there.
          from = from < error.start ? error.start : error.end
          continue
        }
        this.#fails(error)
        await timers.sleep(PAUSE_MS, signal).catch(() => undefined)
      }
    }
  }

  async #take({ value }: LogRecord): Promise<void> {
    const { clock, timers, logger } = this.#options
    let batch: TelemetryBatch
    try {
      batch = TelemetryBatch.decode(value)
    } catch (error) {
      logger.log('warn', 'a record that is no batch of measurements is left out', { error })
      return
    }
    while (this.#channel.size >= this.#channel.max) {
      await timers.sleep(ROOM_MS, this.#closing.signal)
    }
    const missed = this.#marks.take(batch, clock.monotonicMs())
    if (missed !== undefined) this.#channel.push({ batch, ...missed })
  }

  /** Said once, not at every attempt. */
  #fails(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    this.#options.logger.log('warn', 'measurements cannot be read', { error })
  }

  #works(): void {
    if (!this.#failing) return
    this.#failing = false
    this.#options.logger.log('info', 'measurements can be read again')
  }
}
