import type { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { AsyncChannel, type Clock } from '@serverless-ai/kernel'
import type { Published, ReceivedBatch, TelemetryBus, TelemetrySubscription } from './port.ts'
import { SourceMarks } from './source-marks.ts'

/** Batches that wait for one reader; beyond it the reader misses them and sees that it did. */
const MAX_WAITING = 1_000

class Reader implements TelemetrySubscription {
  readonly #marks = new SourceMarks()
  readonly #channel: AsyncChannel<ReceivedBatch>
  readonly #clock: Clock
  readonly #onClose: () => void

  constructor(clock: Clock, onClose: () => void) {
    this.#clock = clock
    this.#onClose = onClose
    this.#channel = new AsyncChannel({ max: MAX_WAITING, onClose })
  }

  get counts(): TelemetrySubscription['counts'] {
    return this.#marks.counts
  }

  give(batch: TelemetryBatch): void {
    if (this.#channel.size >= this.#channel.max) return
    const missed = this.#marks.take(batch, this.#clock.monotonicMs())
    if (missed !== undefined) this.#channel.push({ batch, ...missed })
  }

  close(): void {
    this.#channel.end()
    this.#onClose()
  }

  [Symbol.asyncIterator](): AsyncIterator<ReceivedBatch> {
    return this.#channel[Symbol.asyncIterator]()
  }
}

/** The bus of services that share one process. */
export function openInProcessBus(clock: Clock): TelemetryBus {
  const readers = new Set<Reader>()
  const counts = { sent: 0, dropped: 0, lost: 0 }
  let closed = false
  return {
    kind: 'in-process',
    counts,
    publish(batch): Published {
      if (closed) {
        counts.dropped += 1
        return 'dropped'
      }
      counts.sent += 1
      for (const reader of readers) reader.give(batch)
      return 'sent'
    },
    subscribe() {
      const reader: Reader = new Reader(clock, () => readers.delete(reader))
      readers.add(reader)
      return reader
    },
    close() {
      closed = true
      for (const reader of [...readers]) reader.close()
      return Promise.resolve()
    },
  }
}
