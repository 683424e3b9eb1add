import type { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'

/** Sources that are remembered; the one that was silent for longest goes first. */
const MAX_SOURCES = 10_000

interface Last {
  readonly bootId: string
  readonly seq: bigint
  readonly heardMs: number
}

/**
 * Tells a source that had nothing to say from one whose batches did not come: what its counters
 * grew by meanwhile did not happen just now.
 */
export class SourceGaps {
  readonly #sources = new Map<string, Last>()

  /** How long nothing came although something was sent before this batch, ms; 0 = nothing was. */
  take(
    { source, bootId, seq }: Pick<TelemetryBatch, 'source' | 'bootId' | 'seq'>,
    nowMs: number,
  ): number {
    const last = this.#sources.get(source)
    const same = last?.bootId === bootId
    if (same && seq <= last.seq) return 0
    this.#sources.delete(source)
    this.#sources.set(source, { bootId, seq, heardMs: nowMs })
    if (this.#sources.size > MAX_SOURCES) {
      for (const oldest of this.#sources.keys()) {
        this.#sources.delete(oldest)
        break
      }
    }
    return same && seq > last.seq + 1n ? Math.max(0, nowMs - last.heardMs) : 0
  }
}
