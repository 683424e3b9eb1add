/** Many producers, one consumer, at most `max` items between them: producers wait. */
export class Funnel<T> {
  readonly #max: number
  readonly #items: T[] = []
  readonly #space: (() => void)[] = []
  #wake: (() => void) | undefined
  #ended = false
  #error: unknown

  constructor(max: number) {
    this.#max = max
  }

  /** Resolves when there was space. After the end everything is dropped. */
  async put(item: T): Promise<void> {
    while (this.#items.length >= this.#max && !this.#ended) {
      await new Promise<void>((resolve) => this.#space.push(resolve))
    }
    if (this.#ended) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** No more items; what was put is still delivered. With `error` the consumer fails after it. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#release()
    this.#wake?.()
  }

  async *items(): AsyncGenerator<T> {
    try {
      for (;;) {
        const item = this.#items.shift()
        if (item !== undefined) {
          this.#space.shift()?.()
          yield item
        } else if (this.#ended) {
          if (this.#error !== undefined) throw this.#error
          return
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
          this.#wake = undefined
        }
      }
    } finally {
      this.#ended = true
      this.#release()
    }
  }

  #release(): void {
    for (const resolve of this.#space.splice(0)) resolve()
  }
}
