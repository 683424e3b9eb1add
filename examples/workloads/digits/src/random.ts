/**
 * Seeded pseudo-random numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). Integer
 * arithmetic only, so a seed gives the same sequence on every machine.
 * @param seed any integer; its low 32 bits count
 */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * The order in which an epoch visits the rows. It depends on seed and epoch alone, so that a
 * resumed run sees the rows that an undisturbed one would have seen.
 * @returns a permutation of 0 to `rows - 1`
 */
export function epochOrder({ seed, epoch, rows }: { seed: number; epoch: number; rows: number }) {
  const next = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca6b))
  const order = Uint32Array.from({ length: rows }, (_, i) => i)
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}
