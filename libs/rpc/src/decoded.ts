/** Messages of a stream, decoded one by one as they are asked for. */
export class Decoded implements AsyncIterableIterator<unknown> {
  readonly #bytes: AsyncIterator<Uint8Array>
  readonly #decode: (bytes: Uint8Array) => unknown
  #over = false

  constructor(bytes: AsyncIterator<Uint8Array>, decode: (bytes: Uint8Array) => unknown) {
    this.#bytes = bytes
    this.#decode = decode
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#over) return Promise.resolve({ done: true, value: undefined })
    return this.#bytes.next().then(this.#taken, this.#failed)
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#over = true
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #taken = (step: IteratorResult<Uint8Array>): IteratorResult<unknown> => {
    if (step.done !== true && !this.#over) {
      try {
        return { done: false, value: this.#decode(step.value) }
      } catch (error) {
        return this.#failed(error)
      }
    }
    this.#over = true
    return { done: true, value: undefined }
  }

  readonly #failed = (error: unknown): never => {
    this.#over = true
    throw error
  }
}
