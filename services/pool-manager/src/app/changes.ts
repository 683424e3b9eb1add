/** Tells waiters that something changed, without losing a change between looking and waiting. */
export class Changes {
  #version = 0
  readonly #waiters = new Set<() => void>()

  /** Take it before looking, wait with it after. */
  get version(): number {
    return this.#version
  }

  notify(): void {
    this.#version += 1
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }

  /** Resolves when something changed after `seen`, or the signal is aborted. */
  async after(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#version !== seen || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        this.#waiters.delete(done)
        resolve()
      }
      this.#waiters.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
