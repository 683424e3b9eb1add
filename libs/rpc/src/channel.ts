import type { RpcError } from '@serverless-ai/kernel'
import type { CallScope } from './scope.ts'

/** A bounded pipe of messages: the writer waits while it is full, the reader while it is empty. */
export class BoundedPipe<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = []
  readonly #capacity: number
  readonly #scope: CallScope
  readonly #onReturn: () => void
  #ended = false
  #failure: RpcError | undefined
  #reader: (() => void) | undefined
  #writer: (() => void) | undefined

  constructor(capacity: number, scope: CallScope, onReturn: () => void) {
    this.#capacity = capacity
    this.#scope = scope
    this.#onReturn = onReturn
  }

  /** Resolves when there is room for the next one. */
  push(item: T): Promise<void> | undefined {
    if (this.#ended) return undefined
    this.#items.push(item)
    this.#wakeReader()
    if (this.#items.length < this.#capacity) return undefined
    const full = new Promise<void>((resolve) => {
      this.#writer = resolve
    })
    return this.#scope.race(full)
  }

  /** No more messages; what is inside is still delivered, then the failure, if any. */
  end(failure?: RpcError): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#wakeReader()
  }

  #wakeReader(): void {
    const wake = this.#reader
    this.#reader = undefined
    wake?.()
  }

  async next(): Promise<IteratorResult<T>> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        const wake = this.#writer
        this.#writer = undefined
        wake?.()
        return { done: false, value: item }
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#reader = resolve
      })
    }
  }

  return(): Promise<IteratorResult<T>> {
    this.#onReturn()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
