/**
 * Messages that are kept for another attempt; a stream that says more before its first answer has
 * one.
 */
const KEPT_MAX = 1_024

/**
 * A stream of requests that can be sent again from its start, until somebody has answered it. Pulls
 * from its source only what an attempt asks for; an attempt that was given up takes nothing more.
 */
export class Replay {
  readonly #source: AsyncIterator<unknown>
  readonly #kept: unknown[] = []
  /** Index of the first message that is kept. */
  #from = 0
  #pull: Promise<void> | undefined
  #end: { readonly error?: unknown } | undefined
  #attempt = 0
  #released = false

  constructor(source: AsyncIterable<unknown>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** False once something that was sent is not kept any more. */
  get repeatable(): boolean {
    return this.#from === 0
  }

  /** The stream from its start; attempts before this one get nothing more. */
  begin(): AsyncIterable<unknown> {
    this.#attempt += 1
    const attempt = this.#attempt
    let at = 0
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          const index = at
          at += 1
          return this.#passes(attempt, index) ? this.#pass(attempt) : this.#next(attempt, index)
        },
        return: async () => ({ done: true, value: undefined }),
      }),
    }
  }

  /** Somebody answered: nothing is kept any more. */
  release(): void {
    this.#released = true
  }

  /** The call is over: the source is closed, without waiting for it. */
  close(): void {
    this.#attempt = -1
    Promise.resolve(this.#source.return?.()).catch(() => undefined)
  }

  /** True when the next message is kept for nobody and need not wait for any other. */
  #passes(attempt: number, index: number): boolean {
    if (!this.#released || attempt !== this.#attempt) return false
    const idle = this.#pull === undefined && this.#end === undefined
    return idle && this.#kept.length === 0 && index === this.#from
  }

  /** Hands the next message on. */
  #pass(attempt: number): Promise<IteratorResult<unknown>> {
    this.#from += 1
    return this.#source.next().then(
      (step) => {
        if (step.done === true) this.#end = {}
        return attempt === this.#attempt ? step : { done: true, value: undefined }
      },
      (error: unknown) => {
        this.#end = { error }
        throw error
      },
    )
  }

  async #next(attempt: number, index: number): Promise<IteratorResult<unknown>> {
    for (;;) {
      if (attempt !== this.#attempt) return { done: true, value: undefined }
      if (index < this.#from + this.#kept.length) return { done: false, value: this.#take(index) }
      if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error
        return { done: true, value: undefined }
      }
      this.#pull ??= this.#fetch()
      await this.#pull
    }
  }

  #take(index: number): unknown {
    const item = this.#kept[index - this.#from]
    if (this.#released || this.#kept.length > KEPT_MAX) {
      this.#kept.splice(0, index - this.#from + 1)
      this.#from = index + 1
    }
    return item
  }

  async #fetch(): Promise<void> {
    try {
      const { done, value } = await this.#source.next()
      if (done) this.#end = {}
      else this.#kept.push(value)
    } catch (error) {
      this.#end = { error }
    } finally {
      this.#pull = undefined
    }
  }
}
