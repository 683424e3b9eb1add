import type { RpcError } from '@serverless-ai/kernel'
import type { CallScope } from './scope.ts'

/** Messages of a stream that may be on their way or unread. */
export const WINDOW_MESSAGES = 16
/** A reader grants credit for this many messages at a time. */
const CREDIT_MESSAGES = WINDOW_MESSAGES / 2

/** The reading end of a stream of messages. */
export class Inbox implements AsyncIterableIterator<Uint8Array> {
  readonly #items: Uint8Array[] = []
  readonly #credit: (messages: number) => void
  #taken = 0
  #ended = false
  #failure: RpcError | undefined
  #reader: (() => void) | undefined

  /** `credit` tells the writer that so many messages were read. */
  constructor(credit: (messages: number) => void) {
    this.#credit = credit
  }

  push(item: Uint8Array): void {
    if (this.#ended) return
    this.#items.push(item)
    this.#wake()
  }

  /** No more messages; what is inside is still delivered, then the failure, if any. */
  end(failure?: RpcError): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#wake()
  }

  #wake(): void {
    const wake = this.#reader
    this.#reader = undefined
    wake?.()
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#count()
        return { done: false, value: item }
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#reader = resolve
      })
    }
  }

  #count(): void {
    this.#taken += 1
    if (this.#taken < CREDIT_MESSAGES || this.#ended) return
    this.#taken = 0
    this.#credit(CREDIT_MESSAGES)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** The writing end of a stream of messages: waits while the window is full. */
export class Outbox {
  readonly #send: (bytes: Uint8Array) => void
  readonly #scope: CallScope
  #unread = 0
  #writer: (() => void) | undefined

  constructor(scope: CallScope, send: (bytes: Uint8Array) => void) {
    this.#scope = scope
    this.#send = send
  }

  /** Resolves when there is room for the next one. */
  push(bytes: Uint8Array): Promise<void> | undefined {
    this.#unread += 1
    this.#send(bytes)
    if (this.#unread < WINDOW_MESSAGES) return undefined
    const full = new Promise<void>((resolve) => {
      this.#writer = resolve
    })
    return this.#scope.race(full)
  }

  /** The reader has read so many more. */
  credit(messages: number): void {
    this.#unread -= messages
    const wake = this.#writer
    this.#writer = undefined
    wake?.()
  }
}
