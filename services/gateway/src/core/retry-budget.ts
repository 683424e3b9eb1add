/** Most attempts of a request. */
export const ATTEMPTS_MAX = 3

/** Part of the requests that may be made again. */
const RATIO = 0.2
/** Retries that are saved up at most, and there are at the start. */
const BURST = 10

/**
 * Retries are a fifth of the requests at most: a service that fails gets no more by its failing.
 */
export class RetryBudget {
  #tokens = BURST

  /** A request came. */
  earn(): void {
    this.#tokens = Math.min(BURST, this.#tokens + RATIO)
  }

  /** True = a request may be made again. */
  spend(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
