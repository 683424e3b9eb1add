/**
 * What stands between a simulated process and everything that comes to it. Open: things pass at
 * once. Shut: they wait in order. Dead: they are gone, for ever.
 */
export class Gate {
  #state: 'open' | 'shut' | 'dead' = 'open'
  #waiting: (() => void)[] = []

  get state(): 'open' | 'shut' | 'dead' {
    return this.#state
  }

  /** Runs `fn` now, once the gate is open again, or never. */
  pass(fn: () => void): void {
    if (this.#state === 'open') fn()
    else if (this.#state === 'shut') this.#waiting.push(fn)
  }

  shut(): void {
    if (this.#state === 'open') this.#state = 'shut'
  }

  /**
   * Lets through what waited, in order. `run` is given one after the other and may run each later
   * (as an event of its own, say); by default they run at once.
   */
  open(run: (fn: () => void) => void = (fn) => fn()): void {
    if (this.#state !== 'shut') return
    this.#state = 'open'
    const waiting = this.#waiting
    this.#waiting = []
    // Through `pass` again: one of them may shut or kill.
    for (const fn of waiting) run(() => this.pass(fn))
  }

  /** Nothing passes any more; what waited is forgotten. */
  kill(): void {
    this.#state = 'dead'
    this.#waiting = []
  }
}
