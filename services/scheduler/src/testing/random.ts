/** Seeded randomness for walks: the same seed gives the same walk everywhere (xorshift32). */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1
    for (let i = 0; i < 8; i++) this.#next()
  }

  #next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x >>> 0
    return this.#state
  }

  /** Whole number from 0 to `below` − 1. */
  below(below: number): number {
    return this.#next() % below
  }

  /** True with that many chances in a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  /** One of the items; undefined when there is none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.below(items.length)]
  }
}
