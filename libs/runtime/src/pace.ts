/** Share of the time that a costly duty may take: 1 %. */
const PAUSE_FACTOR = 100

/**
 * Spaces out a duty that holds up the loop for longer the bigger the state is (digests, snapshots):
 * after one that took t, none begins for 100 t.
 */
export class Pace {
  #notBeforeMs = Number.NEGATIVE_INFINITY

  /** `nowMs`: monotonic. */
  ready(nowMs: number): boolean {
    return nowMs >= this.#notBeforeMs
  }

  /** The duty held up the loop for so long, until `endMs` (monotonic). */
  took(ms: number, endMs: number): void {
    this.#notBeforeMs = endMs + PAUSE_FACTOR * ms
  }
}
