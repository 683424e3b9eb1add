import { invariant } from './invariant.ts'

/** Taking from a queue that was closed and is empty. */
export class QueueClosedError extends Error {
  override readonly name = 'QueueClosedError'
}

interface Taker<T> {
  readonly resolve: (item: T) => void
  readonly reject: (reason: unknown) => void
}

/**
 * First in, first out, never more than `max` items: past it `push` refuses and the caller says so
 * to whoever asked.
 */
export class BoundedQueue<T> {
  readonly max: number
  #items: T[] = []
  /** Index of the first item: items before it are taken. */
  #head = 0
  readonly #takers = new Set<Taker<T>>()
  #closed = false

  /** `max`: at least 1. */
  constructor(max: number) {
    invariant(Number.isInteger(max) && max >= 1, `queue: max must be at least 1, not ${max}`)
    this.max = max
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  get closed(): boolean {
    return this.#closed
  }

  /** False when the queue is full or closed: the item was not taken. */
  push(item: T): boolean {
    if (this.#closed) return false
    const [taker] = this.#takers
    if (taker !== undefined) {
      this.#takers.delete(taker)
      taker.resolve(item)
      return true
    }
    if (this.size >= this.max) return false
    this.#items.push(item)
    return true
  }

  /** The first item now, or undefined. */
  takeNow(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#head]
    this.#head += 1
    // Amortised: the taken half is dropped at once instead of shifting per item.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Everything that waits, at most `limit`. */
  drain(limit = Number.POSITIVE_INFINITY): T[] {
    const count = Math.min(limit, this.size)
    const taken = this.#items.slice(this.#head, this.#head + count)
    this.#items = this.#items.slice(this.#head + count)
    this.#head = 0
    return taken
  }

  /**
   * The first item, waiting for one. Rejects with the signal's reason, or {@link QueueClosedError}.
   */
  take(signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      if (this.size > 0) {
        resolve(this.takeNow()!)
        return
      }
      if (this.#closed) {
        reject(new QueueClosedError('the queue is closed'))
        return
      }
      const onAbort = (): void => {
        this.#takers.delete(taker)
        reject(signal?.reason)
      }
      const taker: Taker<T> = {
        resolve: (item) => {
          signal?.removeEventListener('abort', onAbort)
          resolve(item)
        },
        reject: (reason) => {
          signal?.removeEventListener('abort', onAbort)
          reject(reason)
        },
      }
      this.#takers.add(taker)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Takes no more items. What waits can still be taken; takers that wait are rejected. */
  close(): void {
    this.#closed = true
    for (const taker of this.#takers) taker.reject(new QueueClosedError('the queue is closed'))
    this.#takers.clear()
  }
}
