import type { Timers } from '@serverless-ai/kernel'
import type { SimTime } from '@serverless-ai/sim/plane'

/** Virtual time passes in pieces of this length, ms; it stops between two events anyway. */
const PIECE_MS = 1_000

/**
 * Lets virtual time pass while somebody waits for something in it, and at no other moment: what a
 * test does between two answers takes no time at all.
 */
export class Pump {
  readonly #time: SimTime
  #waiting = 0
  #running = false

  constructor(time: SimTime) {
    this.#time = time
  }

  /** Timers whose sleeps make time pass. */
  get timers(): Timers {
    const time = this.#time
    return {
      after: (ms, fn) => time.after(ms, fn),
      sleep: (ms, signal) => this.wait(time.sleep(ms, signal)),
      yieldTurn: () => this.wait(time.yieldTurn()),
    }
  }

  /** Time passes until the promise settles. */
  async wait<T>(work: Promise<T>): Promise<T> {
    this.#waiting += 1
    const pumping = this.#pump()
    try {
      return await Promise.race([work, pumping.then(() => work)])
    } finally {
      this.#waiting -= 1
    }
  }

  async #pump(): Promise<void> {
    if (this.#running) return
    this.#running = true
    const idle = (): boolean => this.#waiting === 0
    try {
      while (!idle()) await this.#time.runUntil(this.#time.nowMs + PIECE_MS, idle)
    } finally {
      this.#running = false
    }
  }

  /** The same object, whose promises and streams make time pass while somebody waits for them. */
  follow<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name, object)
        if (typeof value === 'function') {
          return (...args: readonly unknown[]) => this.#result(Reflect.apply(value, object, args))
        }
        return typeof value === 'object' && value !== null ? this.follow(value) : value
      },
    })
  }

  #result(result: unknown): unknown {
    if (result instanceof Promise) return this.wait(result)
    return isIterable(result) ? this.#stream(result) : result
  }

  #stream(source: AsyncIterable<unknown>): AsyncIterable<unknown> {
    return {
      [Symbol.asyncIterator]: () => {
        const below = source[Symbol.asyncIterator]()
        return {
          next: () => this.wait(below.next()),
          return: (value) =>
            this.wait(below.return?.(value) ?? Promise.resolve({ done: true, value })),
        }
      },
    }
  }
}

const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value
