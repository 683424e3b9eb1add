import { randomFillSync } from 'node:crypto'
import type { Randomness } from '../ports.ts'

/** A call of the operating system costs more than the bytes: they are fetched in stock. */
const STOCK_BYTES = 8_192

class StockedRandomness implements Randomness {
  readonly #stock = new Uint8Array(STOCK_BYTES)
  #used = STOCK_BYTES

  bytes(length: number): Uint8Array {
    if (length > STOCK_BYTES) return randomFillSync(new Uint8Array(length))
    if (this.#used + length > STOCK_BYTES) {
      randomFillSync(this.#stock)
      this.#used = 0
    }
    const from = this.#used
    this.#used += length
    const bytes = this.#stock.slice(from, this.#used)
    // What was handed out is a secret of its receiver alone.
    this.#stock.fill(0, from, this.#used)
    return bytes
  }

  float(): number {
    const bytes = this.bytes(7)
    // 53 bits, the precision of a double.
    let high = 0
    for (let i = 0; i < 6; i++) high = high * 256 + bytes[i]!
    return (high * 32 + (bytes[6]! & 31)) / 9007199254740992
  }
}

/** Randomness of the operating system, good for secrets. */
export const systemRandomness: Randomness = new StockedRandomness()
