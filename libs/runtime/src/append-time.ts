/** Typical append time before one was measured, ms. */
const GUESS_MS = 5

/**
 * How long an append to this log takes, as this replica knows it. Up at once, down slowly: too high
 * costs some patience, too low costs a healthy leader its epoch.
 */
export class AppendTime {
  #ms = GUESS_MS
  /** What the records of others have shown lately. */
  #shownMs = 0

  /** Milliseconds, at least 5. */
  get ms(): number {
    return this.#ms
  }

  /** An own append, of a claim too, was acknowledged after so many ms. */
  took(ms: number): void {
    this.#ms = Math.max(GUESS_MS, ms, this.#ms + (ms - this.#ms) / 8)
  }

  /**
   * Somebody else's record took at least so many ms. Lowers only: a replica that merely follows
   * would else keep for ever what it measured in a bad hour, and one pause of a leader is no
   * measurement.
   */
  observed(ms: number): void {
    // One quick append says little of a log that is slow now and then.
    this.#shownMs = Math.max(ms, (this.#shownMs * 7) / 8)
    if (this.#shownMs >= this.#ms) return
    this.#ms = Math.max(GUESS_MS, (this.#ms + this.#shownMs) / 2)
  }
}
