/** First pause after a restart that did not help, ms; it doubles. */
const FIRST_MS = 2_000
/** Something that dies again and again is started ever more slowly, ms. */
const MAX_MS = 30_000
/** What lived this long is taken for healthy: its next death counts as the first, ms. */
const HEALTHY_MS = 60_000

/**
 * When things that died may be started anew: the first time at once, then with a pause that grows
 * while they do not live long.
 */
export class Restarts {
  readonly #last = new Map<string, { readonly startedMs: number; readonly pauseMs: number }>()

  /** True when it may be started now; the start counts as done. */
  mayStart(name: string, nowMs: number): boolean {
    const last = this.#last.get(name)
    if (last !== undefined && nowMs < last.startedMs + last.pauseMs) return false
    const first = last === undefined || nowMs - last.startedMs >= HEALTHY_MS
    const pauseMs = first ? FIRST_MS : Math.min(MAX_MS, last.pauseMs * 2)
    this.#last.set(name, { startedMs: nowMs, pauseMs })
    return true
  }
}
