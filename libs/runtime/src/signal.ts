/**
 * Lets any number of waiters go on at once. Nothing is remembered: check the condition, then wait.
 */
export class Signal {
  #waiters: (() => void)[] = []

  /** Resolves at the next `notify`; rejects with the signal's reason when it is aborted first. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason)
        return
      }
      const go = (): void => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      const stop = (): void => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== go)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', stop, { once: true })
      this.#waiters.push(go)
    })
  }

  notify(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }
}
