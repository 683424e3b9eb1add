import type { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'

/** What becomes of a published batch. `dropped`: a buffer is full or the broker is away. */
export type Published = 'sent' | 'dropped'

/**
 * Carries measurements from those who measure to those who judge. Nothing waits for it: what it
 * cannot take is dropped and counted, and every reader sees by the dense numbers of a source what
 * it has missed.
 */
export interface TelemetryBus {
  readonly kind: 'in-process' | 'kafka'
  /** Batches since the start: `dropped` were not taken, `lost` were taken and did not arrive. */
  readonly counts: { readonly sent: number; readonly dropped: number; readonly lost: number }
  /** Hands a batch over; never throws, never waits. */
  publish(batch: TelemetryBatch): Published
  /** All batches from now on, of all sources; each once, a repeated one is left out. */
  subscribe(): TelemetrySubscription
  /** Ends all subscriptions. */
  close(): Promise<void>
}

/** One reader of the bus. */
export interface TelemetrySubscription extends AsyncIterable<ReceivedBatch> {
  /** Batches this reader took, and those that are missing for good. */
  readonly counts: { readonly received: number; readonly repeated: number; readonly lost: number }
  close(): void
}

/** A batch as a reader gets it. */
export interface ReceivedBatch extends Missed {
  readonly batch: TelemetryBatch
}

/** What a reader has missed before a batch. */
export interface Missed {
  /** Batches of the same boot that were sent before this one and have not come (yet). */
  readonly missing: number
  /**
   * How long nothing of its boot came although something was sent right before it, ms; 0 = nothing
   * was: a source with nothing to say is no gap, however long it rests.
   */
  readonly missingMs: number
}
