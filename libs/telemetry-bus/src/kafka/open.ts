import { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import {
  type KafkaLogOptions,
  type KafkaRecords,
  openKafkaRecords,
  TELEMETRY_TOPIC,
} from '@serverless-ai/eventlog/kafka'
import type { Published, TelemetryBus, TelemetrySubscription } from '../port.ts'
import { KafkaSubscription } from './subscription.ts'

/** Bytes of batches that wait for the brokers; further ones are dropped. */
const QUEUE_MAX_BYTES = 8 * 1024 * 1024
/** Time at the end for what waits to leave, and for connections to close, ms. */
const CLOSE_MS = 1_000

/** How to reach the topic of measurements. */
export interface KafkaBusOptions extends KafkaLogOptions {
  /** Cell. */
  readonly partition: number
  /** Bytes of batches that wait for the brokers. Default 8 MiB. */
  readonly queueMaxBytes?: number
}

/**
 * The bus of services in processes of their own. Asks nobody at the start and waits for nobody:
 * brokers that are away or silent cost the batches that they do not take. Throws RangeError for
 * options that cannot be meant.
 */
export function openKafkaBus(options: KafkaBusOptions): TelemetryBus {
  return new KafkaBus(options)
}

/** The bytes of a batch; undefined when it holds a number that no batch can hold. */
function encoded(batch: TelemetryBatch): Uint8Array | undefined {
  try {
    return TelemetryBatch.encode(batch).finish()
  } catch {
    return undefined
  }
}

class KafkaBus implements TelemetryBus {
  readonly kind = 'kafka'
  readonly #options: KafkaBusOptions
  readonly #records: KafkaRecords
  readonly #address: { readonly topic: string; readonly partition: number }
  readonly #subscriptions = new Set<TelemetrySubscription>()
  readonly #sending = new Set<Promise<void>>()
  readonly #counts = { sent: 0, dropped: 0, lost: 0 }
  #waitingBytes = 0
  #failing = false
  #closed: Promise<void> | undefined

  constructor(options: KafkaBusOptions) {
    this.#options = options
    this.#records = openKafkaRecords(options)
    this.#address = { topic: TELEMETRY_TOPIC, partition: options.partition }
  }

  get counts(): TelemetryBus['counts'] {
    return this.#counts
  }

  publish(batch: TelemetryBatch): Published {
    const { queueMaxBytes = QUEUE_MAX_BYTES } = this.#options
    const value = encoded(batch)
    const bytes = value?.byteLength ?? 0
    const full = this.#waitingBytes + bytes > queueMaxBytes
    if (value === undefined || full || this.#closed !== undefined) {
      this.#counts.dropped += 1
      return 'dropped'
    }
    this.#counts.sent += 1
    this.#waitingBytes += bytes
    const sending: Promise<void> = this.#send(batch.source, value).finally(() => {
      this.#waitingBytes -= bytes
      this.#sending.delete(sending)
    })
    this.#sending.add(sending)
    return 'sent'
  }

  subscribe(): TelemetrySubscription {
    const { clock, timers, logger } = this.#options.ports
    const subscription: TelemetrySubscription = new KafkaSubscription({
      records: this.#records,
      address: this.#address,
      clock,
      timers,
      logger,
      onClose: () => this.#subscriptions.delete(subscription),
    })
    this.#subscriptions.add(subscription)
    return subscription
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    for (const subscription of [...this.#subscriptions]) subscription.close()
    await this.#within(Promise.all(this.#sending))
    await this.#within(this.#records.close())
  }

  /** A broker that says nothing must not hold a process up that wants to end. */
  #within(promise: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.ports.timers.after(CLOSE_MS, resolve)
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      promise.then(done, done)
    })
  }

  async #send(key: string, value: Uint8Array): Promise<void> {
    try {
      await this.#records.append(this.#address, [{ key, headers: {}, value }])
      this.#works()
    } catch (error) {
      this.#counts.lost += 1
      this.#fails(error)
    }
  }

  /** Said once, not for every batch. */
  #fails(error: unknown): void {
    if (this.#failing || this.#closed !== undefined) return
    this.#failing = true
    const fields = { topic: TELEMETRY_TOPIC, error }
    this.#options.ports.logger.log('warn', 'measurements are lost', fields)
  }

  #works(): void {
    if (!this.#failing) return
    this.#failing = false
    const { lost, dropped } = this.#counts
    this.#options.ports.logger.log('info', 'measurements arrive again', { lost, dropped })
  }
}
