import type { Readable } from 'node:stream'
import type { RpcError } from '@serverless-ai/kernel'

/** What the reader of a stream needs from the call it belongs to. */
export interface ReaderHooks {
  /** The error with which the stream ended, once it is known. */
  readonly failure: () => RpcError | undefined
  /** The consumer stopped early. */
  readonly onReturn: () => void
}

/**
 * Messages of a gRPC stream, one per pull: nothing is read ahead but the stream's own small buffer,
 * so a slow consumer slows the sender. Unlike `for await (… of readable)` it does not destroy a
 * duplex stream whose other half is still in use.
 */
export function messagesOf(source: Readable, hooks: ReaderHooks): Messages {
  return new Messages(source, hooks)
}

/** See {@link messagesOf}. */
export class Messages implements AsyncIterableIterator<unknown> {
  readonly #source: Readable
  readonly #hooks: ReaderHooks
  #ended = false
  #wake: (() => void) | undefined

  constructor(source: Readable, hooks: ReaderHooks) {
    this.#source = source
    this.#hooks = hooks
    source.on('readable', () => this.wake())
    source.on('end', () => {
      this.#ended = true
      this.wake()
    })
    source.on('close', () => {
      this.#ended = true
      this.wake()
    })
  }

  /** Looks again; called when the failure has become known. */
  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  async next(): Promise<IteratorResult<unknown>> {
    for (;;) {
      // What came before the failure is still delivered.
      const message: unknown = this.#source.read()
      if (message !== null) return { done: false, value: message }
      const failure = this.#hooks.failure()
      if (failure !== undefined) throw failure
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#hooks.onReturn()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** A stream that takes messages and says when it is full. */
interface Sink {
  write(message: unknown): boolean
  on(event: 'drain', listener: () => void): unknown
}

/** Writes with flow control through a single `drain` listener per call. */
export function writerTo(sink: Sink): (message: unknown) => Promise<void> | undefined {
  let wake: (() => void) | undefined
  sink.on('drain', () => {
    wake?.()
    wake = undefined
  })
  return (message) => {
    if (sink.write(message)) return undefined
    return new Promise((resolve) => {
      wake = resolve
    })
  }
}
