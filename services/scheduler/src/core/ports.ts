/**
 * Ports of the nodes. The next port rotates through the range, so that a port which turned out to
 * be in use by somebody else is not given again at once.
 */
export class Ports {
  readonly #first: number[] = []
  readonly #last: number[] = []
  readonly #next: number[] = []
  readonly #used: Set<number>[] = []

  /** Sets a node's range, both ends included; 0 and 0 = none. Ports that are given stay given. */
  setRange(node: number, first: number, last: number): void {
    this.#first[node] = first
    this.#last[node] = last
    this.#used[node] ??= new Set()
    const next = this.#next[node] ?? first
    this.#next[node] = next >= first && next <= last ? next : first
  }

  /** Where the next search starts; part of the state. */
  next(node: number): number {
    return this.#next[node] ?? 0
  }
  setNext(node: number, port: number): void {
    this.#next[node] = port
  }

  /** Ports of the range that nobody holds. */
  free(node: number): number {
    const first = this.#first[node]!
    const last = this.#last[node]!
    if (first === 0) return 0
    let used = 0
    for (const port of this.#used[node]!) if (port >= first && port <= last) used++
    return last - first + 1 - used
  }

  /** The next free ports; the caller knows that there are enough. */
  pick(node: number, count: number): number[] {
    const picked: number[] = []
    let port = this.#next[node]!
    while (picked.length < count) {
      if (!this.#used[node]!.has(port)) picked.push(port)
      port = this.#after(node, port)
    }
    return picked
  }

  /** Holds ports and moves on behind the last one. False when one is held already. */
  take(node: number, ports: readonly number[]): boolean {
    for (const port of ports) {
      if (this.#used[node]!.has(port)) return false
      this.#used[node]!.add(port)
      this.#next[node] = this.#after(node, port)
    }
    return true
  }

  give(node: number, ports: readonly number[]): void {
    for (const port of ports) this.#used[node]!.delete(port)
  }

  #after(node: number, port: number): number {
    return port >= this.#last[node]! ? this.#first[node]! : port + 1
  }
}
