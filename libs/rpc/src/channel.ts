import type { RpcError } from '@serverless-ai/kernel'
import type { CallScope } from './scope.ts'

/** Messages of a stream that may be on their way or unread. */
export const WINDOW_MESSAGES = 16
/** A reader grants credit for this many messages at a time. */
const CREDIT_MESSAGES = WINDOW_MESSAGES / 2

/** Who waits for the next message. */
interface Reader {
  readonly resolve: (step: IteratorResult<Uint8Array>) => void
  readonly reject: (error: unknown) => void
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** The reading end of a stream of messages; one reader at a time. */
export class Inbox implements AsyncIterableIterator<Uint8Array> {
  readonly #items: Uint8Array[] = []
  readonly #credit: (messages: number) => void
  #taken = 0
  #ended = false
  #failure: RpcError | undefined
  #reader: Reader | undefined

  /** `credit` tells the writer that so many messages were read. */
  constructor(credit: (messages: number) => void) {
    this.#credit = credit
  }

  push(item: Uint8Array): void {
    if (this.#ended) return
    const reader = this.#reader
    if (reader === undefined) {
      this.#items.push(item)
      return
    }
    this.#reader = undefined
    this.#count()
    reader.resolve({ done: false, value: item })
  }

  /** No more messages; what is inside is still delivered, then the failure, if any. */
  end(failure?: RpcError): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    const reader = this.#reader
    this.#reader = undefined
    if (failure !== undefined) reader?.reject(failure)
    else reader?.resolve(DONE)
  }

  // Not `async`: a stream takes this way for each of its messages.
  next(): Promise<IteratorResult<Uint8Array>> {
    const item = this.#items.shift()
    if (item !== undefined) {
      this.#count()
      return Promise.resolve({ done: false, value: item })
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
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
