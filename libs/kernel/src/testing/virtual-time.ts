import type { Clock, Timer, Timers } from '../ports.ts'

interface Event {
  readonly atMs: number
  readonly order: number
  fn: (() => void) | undefined
}

/** Microtasks of everything that just ran are done when the next macrotask comes. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Virtual time: clock and timers that move only when a test says so. Events at the same moment run
 * in the order in which they were set. Between two events all pending microtasks are run.
 */
export class VirtualTime implements Clock, Timers {
  /** Virtual ms since the start. */
  nowMs = 0
  #wallBaseMs: number
  #order = 0
  readonly #events: Event[] = []

  /** `wallMs`: wall clock at the start. */
  constructor(options: { wallMs?: number } = {}) {
    this.#wallBaseMs = options.wallMs ?? 1_700_000_000_000
  }

  wallMs(): number {
    return this.#wallBaseMs + this.nowMs
  }

  monotonicMs(): number {
    return this.nowMs
  }

  bootMs(): number {
    return this.nowMs
  }

  /** Moves the wall clock alone, ms; may be negative. */
  jumpWall(byMs: number): void {
    this.#wallBaseMs += byMs
  }

  /** Number of timers that are set. */
  get pending(): number {
    return this.#events.filter((event) => event.fn !== undefined).length
  }

  after(ms: number, fn: () => void): Timer {
    const event: Event = { atMs: this.nowMs + Math.max(0, ms), order: this.#order, fn }
    this.#order += 1
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#events[middle]!.atMs <= event.atMs) low = middle + 1
      else high = middle
    }
    this.#events.splice(low, 0, event)
    return {
      cancel: () => {
        event.fn = undefined
      },
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const onAbort = (): void => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  yieldTurn(): Promise<void> {
    return this.sleep(0)
  }

  /** Runs the next event that is due until `untilMs`; false when there is none. */
  #step(untilMs: number): boolean {
    for (;;) {
      const event = this.#events[0]
      if (event === undefined || event.atMs > untilMs) return false
      this.#events.shift()
      if (event.fn === undefined) continue
      this.nowMs = Math.max(this.nowMs, event.atMs)
      event.fn()
      return true
    }
  }

  /** Lets `ms` pass, running what becomes due in order. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    await settle()
    while (this.#step(untilMs)) await settle()
    this.nowMs = untilMs
  }

  /**
   * Lets time pass until `promise` settles and returns what it gave. Rejects when it has not
   * settled within `limitMs` of virtual time, or when nothing is left that could settle it.
   */
  async run<T>(promise: Promise<T>, options: { limitMs?: number } = {}): Promise<T> {
    const untilMs = this.nowMs + (options.limitMs ?? 3_600_000)
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    await settle()
    while (!settled) {
      if (!this.#step(untilMs)) {
        throw new Error(`virtual time: not settled at ${this.nowMs} ms (limit ${untilMs} ms)`)
      }
      await settle()
    }
    return promise
  }
}
