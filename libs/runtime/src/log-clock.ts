import type { Clock } from '@serverless-ai/kernel'

/**
 * Log time: max(wall clock, last log time + monotonic time since it was read). Never goes back,
 * whatever the wall clock does. Whole ms since
 * 1970.
 */
export class LogClock {
  readonly #clock: Clock
  #lastMs = 0
  #lastMonotonicMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes note of the log time of an effective commit. */
  observe(atMs: number): void {
    if (atMs <= this.nowMs()) return
    this.#lastMs = atMs
    this.#lastMonotonicMs = this.#clock.monotonicMs()
  }

  /** Log time now. What it returns is never undercut by a later call. */
  nowMs(): number {
    const monotonicMs = this.#clock.monotonicMs()
    const since = this.#lastMs + Math.max(0, monotonicMs - this.#lastMonotonicMs)
    const nowMs = Math.max(this.#clock.wallMs(), since)
    this.#lastMs = nowMs
    this.#lastMonotonicMs = monotonicMs
    return Math.floor(nowMs)
  }
}
