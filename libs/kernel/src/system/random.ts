import { randomBytes } from 'node:crypto'
import type { Randomness } from '../ports.ts'

/** Randomness of the operating system, good for secrets. */
export const systemRandomness: Randomness = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  float() {
    const bytes = randomBytes(7)
    // 53 bits, the precision of a double.
    return (bytes.readUIntBE(0, 6) * 32 + (bytes[6]! & 31)) / 9007199254740992
  },
}
