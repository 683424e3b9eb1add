import type { Sample } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { Clock, Timer, Timers } from '@serverless-ai/kernel'
import type { TelemetryBus } from './port.ts'

/** How samples of one source are gathered. */
export interface TelemetrySenderOptions {
  /** `gateway/<replica>` or `node/<node id>`. */
  readonly source: string
  /** New for each start of the source. */
  readonly bootId: string
  readonly bus: Pick<TelemetryBus, 'publish'>
  readonly clock: Clock
  readonly timers: Timers
  /** Longest that a sample waits for others, ms. Default 250. */
  readonly flushMs?: number
  /** Most samples in a batch, and in the buffer. Default 10,000. */
  readonly maxSamples?: number
}

/** Gathers the samples of one source and numbers its batches. */
export class TelemetrySender {
  readonly #options: Required<TelemetrySenderOptions>
  #samples: Sample[] = []
  #seq = 0n
  #dropped = 0n
  #timer: Timer | undefined
  #closed = false

  constructor(options: TelemetrySenderOptions) {
    this.#options = { flushMs: 250, maxSamples: 10_000, ...options }
  }

  /** Samples that were dropped since the start. */
  get dropped(): bigint {
    return this.#dropped
  }

  add(value: NonNullable<Sample['value']>): void {
    const { clock, timers, flushMs, maxSamples } = this.#options
    if (this.#closed || this.#samples.length >= maxSamples) {
      this.#dropped += 1n
      return
    }
    this.#samples.push({ atMs: BigInt(Math.round(clock.wallMs())), value })
    this.#timer ??= timers.after(flushMs, () => this.flush())
  }

  /** Sends what has been gathered. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#samples.length === 0) return
    const { source, bootId, bus, clock } = this.#options
    const samples = this.#samples
    this.#samples = []
    this.#seq += 1n
    const sentMs = BigInt(Math.round(clock.wallMs()))
    const batch = { source, bootId, seq: this.#seq, sentMs, droppedSamples: this.#dropped, samples }
    if (bus.publish(batch) === 'dropped') this.#dropped += BigInt(samples.length)
  }

  /** Sends the rest; later samples are dropped. */
  close(): void {
    this.flush()
    this.#closed = true
  }
}
