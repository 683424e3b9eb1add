import type { Randomness } from '../ports.ts'

/** Randomness that can be repeated: the same seed gives the same sequence on every machine. */
export interface SeededRandomness extends Randomness {
  /** Uniform integer in [0, below). */
  int(below: number): number
  /** True with probability `share` (0 to 1). */
  chance(share: number): boolean
  /** One of `items`, which is not empty. */
  pick<T>(items: readonly T[]): T
  /** An independent sequence derived from this one. */
  fork(): SeededRandomness
}

/** SplitMix32 over the seed: fills the generator's words (Steele, Lea, Flood 2014). */
function splitMix(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
}

const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k))

/** xoshiro128** (Blackman and Vigna 2018): returns 32 random bits per call. */
function xoshiro(seed: number): () => number {
  const next = splitMix(seed)
  let a = next()
  let b = next()
  let c = next()
  let d = next()
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotate(d, 11)
    return result
  }
}

/** Repeatable randomness from a 32-bit seed. Never for secrets. */
export function seededRandomness(seed: number): SeededRandomness {
  const next = xoshiro(seed)
  const float = (): number => ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992
  const int = (below: number): number => Math.floor((next() / 4294967296) * below)
  return {
    float,
    int,
    chance: (share) => share > 0 && next() / 4294967296 < share,
    pick: (items) => items[int(items.length)]!,
    fork: () => seededRandomness(next()),
    bytes(length) {
      const out = new Uint8Array(length)
      for (let i = 0; i < length; i += 4) {
        const word = next()
        for (let j = 0; j < 4 && i + j < length; j += 1) out[i + j] = word >>> (8 * j)
      }
      return out
    },
  }
}
