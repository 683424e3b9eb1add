import { invariant } from './invariant.ts'

/** What became of a pushed item. */
export type PushResult = 'ok' | 'overflow' | 'closed'

type Ending = { readonly at: 'Ended' } | { readonly at: 'Failed'; readonly error: unknown }

/**
 * A bounded stream from one producer to one consumer (`for await`). A consumer that is too slow
 * makes `push` answer `overflow`: the item is not taken, and the producer decides, as a rule by
 * `fail`ing the stream with a resumable error. What was pushed before `end` or `fail` is still
 * delivered.
 */
export class AsyncChannel<T> implements AsyncIterable<T> {
  readonly max: number
  readonly #items: T[] = []
  readonly #onClose: (() => void) | undefined
  #ending: Ending | undefined
  #waiting: { resolve: (r: IteratorResult<T>) => void; reject: (e: unknown) => void } | undefined
  #left = false

  /** `onClose` is called once when the consumer leaves the loop before the end. */
  constructor(options: { max: number; onClose?: () => void }) {
    invariant(Number.isInteger(options.max) && options.max >= 1, 'channel: max must be at least 1')
    this.max = options.max
    this.#onClose = options.onClose
  }

  get size(): number {
    return this.#items.length
  }

  /** True when nothing can be pushed any more. */
  get closed(): boolean {
    return this.#left || this.#ending !== undefined
  }

  push(item: T): PushResult {
    if (this.closed) return 'closed'
    if (this.#waiting !== undefined) {
      const { resolve } = this.#waiting
      this.#waiting = undefined
      resolve({ done: false, value: item })
      return 'ok'
    }
    if (this.#items.length >= this.max) return 'overflow'
    this.#items.push(item)
    return 'ok'
  }

  /** Ends the stream after what waits. */
  end(): void {
    this.#finish({ at: 'Ended' })
  }

  /** Fails the stream after what waits. */
  fail(error: unknown): void {
    this.#finish({ at: 'Failed', error })
  }

  #finish(ending: Ending): void {
    if (this.closed) return
    this.#ending = ending
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    if (ending.at === 'Ended') waiting.resolve({ done: true, value: undefined })
    else waiting.reject(ending.error)
  }

  #next(): Promise<IteratorResult<T>> {
    if (this.#items.length > 0) {
      return Promise.resolve({ done: false, value: this.#items.shift()! })
    }
    const ending = this.#ending
    if (ending?.at === 'Failed') {
      // Told once; afterwards the stream is simply over.
      this.#ending = { at: 'Ended' }
      return Promise.reject(ending.error)
    }
    if (ending !== undefined || this.#left) return Promise.resolve({ done: true, value: undefined })
    invariant(this.#waiting === undefined, 'channel: one consumer only')
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  #leave(): Promise<IteratorResult<T>> {
    if (!this.#left) {
      this.#left = true
      this.#items.length = 0
      this.#waiting?.resolve({ done: true, value: undefined })
      this.#waiting = undefined
      this.#onClose?.()
    }
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.#next(), return: () => this.#leave() }
  }
}
