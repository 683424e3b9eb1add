/**
 * Nodes by number of free devices: one bit set per count. Finding the fullest node that still fits
 * is a walk over the counts from the wanted one upward, and a change costs two bits. All orders are
 * by node index, so equal histories give equal answers.
 */
export class FreeIndex {
  /** Per count: bit set over node indexes, 32 nodes per word. */
  readonly levels: Uint32Array[] = []
  /** Per count: how many nodes. */
  readonly counts: number[] = []
  /** Sum of the counts of all nodes inside. */
  total = 0
  #words: number
  /** Count of each node + 1; 0 = not inside. */
  #at: Uint16Array

  constructor(nodeCapacity: number) {
    this.#words = nodeCapacity >>> 5
    this.#at = new Uint16Array(nodeCapacity)
  }

  /** Makes room; `nodeCapacity` is a multiple of 32. */
  grow(nodeCapacity: number): void {
    this.#words = nodeCapacity >>> 5
    const at = new Uint16Array(nodeCapacity)
    at.set(this.#at)
    this.#at = at
    for (let level = 0; level < this.levels.length; level++) {
      const bits = new Uint32Array(this.#words)
      bits.set(this.levels[level]!)
      this.levels[level] = bits
    }
  }

  /** Files `node` under `count`; −1 takes it out. */
  set(node: number, count: number): void {
    const before = this.#at[node]! - 1
    if (before === count) return
    const word = node >>> 5
    const bit = 1 << (node & 31)
    if (before >= 0) {
      const level = this.levels[before]!
      level[word] = level[word]! & ~bit
      this.counts[before]!--
      this.total -= before
    }
    this.#at[node] = count + 1
    if (count < 0) return
    while (this.levels.length <= count) {
      this.levels.push(new Uint32Array(this.#words))
      this.counts.push(0)
    }
    const level = this.levels[count]!
    level[word] = level[word]! | bit
    this.counts[count]!++
    this.total += count
  }

  /** Count of `node`, −1 when it is not inside. */
  get(node: number): number {
    return this.#at[node]! - 1
  }

  /** One above the highest count that any node has had. */
  get height(): number {
    return this.levels.length
  }
}
