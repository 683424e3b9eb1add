import {
  type SendTelemetryRequest,
  type TelemetryBatch,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { Clock, Logger, Randomness, Timers, Transport } from '@serverless-ai/kernel'
import { type Backoff, delayMs, jitter } from '../../core/backoff.ts'
import { problemOf } from '../../core/errors.ts'

/** Batches that wait; beyond them the oldest go: what is new is worth more. */
const WAITING_MAX = 30
/**
 * A stream is ended after this and begun anew: its answer says what became of it, and another
 * replica may be the nearer one by then, ms.
 */
const STREAM_MS = 30_000
/** Longest wait for the answer, ms. */
const ANSWER_MS = 10_000
/** Nobody is in a hurry: measurements are missed, work is not. */
const RECONNECT: Backoff = { firstMs: 500, maxMs: 30_000 }

/** What sending needs. */
export interface TelemetryStreamOptions {
  readonly transport: Transport
  /** Of the resource profiler, or its replicas with commas between. */
  readonly address: string
  readonly token: string
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly logger: Logger
}

/** Sends batches to the resource profiler; what it does not take in time is dropped and counted. */
export class TelemetryStream {
  private readonly options: TelemetryStreamOptions
  private readonly stopping = new AbortController()
  private readonly waiting: TelemetryBatch[] = []
  private wake: () => void = () => undefined
  private droppedSamples = 0n
  private failures = 0
  private lastProblem = ''
  private lastRefusal = ''

  constructor(options: TelemetryStreamOptions) {
    this.options = options
    void this.sendForEver()
  }

  /** Never waits, never fails; a full buffer loses its oldest batch. */
  publish(batch: TelemetryBatch): 'sent' {
    this.waiting.push(batch)
    while (this.waiting.length > WAITING_MAX) {
      this.droppedSamples += BigInt(this.waiting.shift()?.samples.length ?? 0)
    }
    this.wake()
    return 'sent'
  }

  /** Ends the stream; what waits is lost. */
  stop(): void {
    this.stopping.abort(new Error('the agent is stopped'))
    this.wake()
  }

  private async sendForEver(): Promise<void> {
    const { signal } = this.stopping
    const { timers, randomness } = this.options
    while (!signal.aborted) {
      try {
        await this.stream()
        this.works()
      } catch (error) {
        this.failed(error)
        const ms = jitter(delayMs(RECONNECT, this.failures), randomness.float())
        await timers.sleep(ms, signal).catch(() => undefined)
      }
    }
  }

  /** One stream, from its first batch to its answer. */
  private async stream(): Promise<void> {
    const { transport, address, token, logger } = this.options
    await this.more(undefined)
    const { signal } = this.stopping
    if (signal.aborted) return
    const client = transport.client(TelemetryIntakeServiceService, { address, token })
    const options = { signal, timeoutMs: STREAM_MS + ANSWER_MS }
    const { rejectedSamples, rejected } = await client.sendTelemetry(this.requests(), options)
    const refusal = rejected.map(({ code }) => code).join(', ')
    if (refusal !== '' && refusal !== this.lastRefusal) {
      logger.log('warn', 'samples were refused', { samples: Number(rejectedSamples), refusal })
    }
    this.lastRefusal = refusal
  }

  private async *requests(): AsyncGenerator<SendTelemetryRequest> {
    const { clock } = this.options
    const endMs = clock.monotonicMs() + STREAM_MS
    while (!this.stopping.signal.aborted) {
      const batch = this.waiting.shift()
      if (batch !== undefined) {
        const droppedSamples = batch.droppedSamples + this.droppedSamples
        yield { batch: { ...batch, droppedSamples } }
        continue
      }
      const leftMs = endMs - clock.monotonicMs()
      if (leftMs <= 0) return
      await this.more(leftMs)
    }
  }

  /** Resolves when a batch waits, the time is over, or the end has come. */
  private more(timeoutMs: number | undefined): Promise<void> {
    if (this.waiting.length > 0 || this.stopping.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer =
        timeoutMs === undefined ? undefined : this.options.timers.after(timeoutMs, () => wake())
      const wake = (): void => {
        timer?.cancel()
        this.wake = () => undefined
        resolve()
      }
      this.wake = wake
    })
  }

  private works(): void {
    if (this.failures > 0) this.options.logger.log('info', 'measurements are sent again')
    this.failures = 0
    this.lastProblem = ''
  }

  private failed(error: unknown): void {
    this.failures += 1
    if (this.stopping.signal.aborted) return
    const problem = problemOf(error)
    // Said once, not at every attempt.
    if (problem === this.lastProblem) return
    this.lastProblem = problem
    const { address, logger } = this.options
    logger.log('warn', 'measurements are not sent', { address, problem })
  }
}
