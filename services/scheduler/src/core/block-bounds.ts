import type { Resources } from './types.ts'

/**
 * Per 32 nodes: upper bounds of the free CPU and memory of a ready node. May be too high (what was
 * taken since), never too low: a search skips 32 nodes at once where even the bound is too small.
 */
export class BlockBounds {
  #cpu = new Float64Array(2)
  #memory = new Float64Array(2)

  /** Makes room for so many nodes, a multiple of 32. */
  grow(nodes: number): void {
    const cpu = new Float64Array(nodes >>> 5)
    cpu.set(this.#cpu)
    this.#cpu = cpu
    const memory = new Float64Array(nodes >>> 5)
    memory.set(this.#memory)
    this.#memory = memory
  }

  /** A ready node has that much free. */
  raise(node: number, cpuMillis: number, memoryMib: number): void {
    const word = node >>> 5
    if (cpuMillis > this.#cpu[word]!) this.#cpu[word] = cpuMillis
    if (memoryMib > this.#memory[word]!) this.#memory[word] = memoryMib
  }

  /** Forgets the bounds of 32 nodes; the caller raises them again from each ready one. */
  reset(word: number): void {
    this.#cpu[word] = -Infinity
    this.#memory[word] = -Infinity
  }

  /** May any node of these 32 have that much free? False is certain. */
  mayFit(word: number, cpuMillis: number, memoryMib: number): boolean {
    return (
      (cpuMillis === 0 || this.#cpu[word]! >= cpuMillis) &&
      (memoryMib === 0 || this.#memory[word]! >= memoryMib)
    )
  }

  /** Upper bound of tasks by CPU and memory on any one node of these 32. */
  tasks(word: number, each: Resources): number {
    return Math.min(
      each.cpuMillis === 0 ? Infinity : Math.floor(this.#cpu[word]! / each.cpuMillis),
      each.memoryMib === 0 ? Infinity : Math.floor(this.#memory[word]! / each.memoryMib),
    )
  }
}
