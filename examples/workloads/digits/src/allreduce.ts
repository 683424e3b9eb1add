/** A rank's place in the ring: it sends to the rank above and receives from the one below. */
export interface RingLink {
  readonly rank: number
  readonly worldSize: number
  /**
   * Sends `out` to the right neighbour and returns the next `length` numbers of the left one.
   * `out` may be reused as soon as the promise is settled.
   */
  exchange(out: Float64Array, length: number): Promise<Float64Array>
}

/** The half-open range of chunk `index` when `length` numbers are cut into `count` chunks. */
export function chunkRange({ length, count, index }: Record<'length' | 'count' | 'index', number>) {
  return {
    from: Math.floor((index * length) / count),
    to: Math.floor(((index + 1) * length) / count),
  }
}

/**
 * Replaces `vector` on every rank by the sum over all ranks: ring all-reduce, that is
 * reduce-scatter followed by all-gather, 2 × (worldSize - 1) hops of length / worldSize numbers
 * (Patarasu and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations").
 *
 * Chunk c is always added in the order of ranks c, c + 1, …, so for a fixed world size the sum is
 * the same bit by bit on every rank and in every repetition.
 * @param vector the same length on all ranks; shorter than `worldSize` is fine
 */
export async function allReduceSum(vector: Float64Array, link: RingLink): Promise<void> {
  const { rank, worldSize } = link
  const chunk = (index: number) => {
    const wrapped = ((index % worldSize) + worldSize) % worldSize
    const { from, to } = chunkRange({ length: vector.length, count: worldSize, index: wrapped })
    return vector.subarray(from, to)
  }
  for (let hop = 0; hop < worldSize - 1; hop++) {
    const mine = chunk(rank - hop - 1)
    const partial = await link.exchange(chunk(rank - hop), mine.length)
    for (let i = 0; i < mine.length; i++) mine[i] = partial[i]! + mine[i]!
  }
  for (let hop = 0; hop < worldSize - 1; hop++) {
    const target = chunk(rank - hop)
    target.set(await link.exchange(chunk(rank - hop + 1), target.length))
  }
}
