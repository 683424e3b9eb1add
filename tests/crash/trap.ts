import { writeSync } from 'node:fs'
import { type CrashOrder, lastWords, type Moment } from './moments.ts'

/** Counts how often the ordered moment came about and ends the process when it is time. */
export class Trap {
  readonly #order: CrashOrder | undefined
  #count = 0
  /** From now on nothing that is read from the log reaches the process. */
  held = false
  /** The next effect does not leave: the process dies instead. */
  effectArmed = false

  constructor(order: CrashOrder | undefined) {
    this.#order = order
  }

  /** True when this is the ordered occurrence of the moment. */
  hit(moment: Moment): boolean {
    if (this.#order?.moment !== moment) return false
    this.#count += 1
    return this.#count === this.#order.nth
  }

  /** SIGKILL to this very process: no handler, no flush, no graceful end. Never resolves. */
  die(): Promise<never> {
    // Synchronous: it must be out before the process is gone.
    if (this.#order !== undefined) writeSync(2, `${lastWords(this.#order)}\n`)
    process.kill(process.pid, 'SIGKILL')
    return this.never()
  }

  /**
   * Dies after what is due now, such as answers on their way to a socket, had its turns of the
   * event loop.
   */
  async dieSoon(): Promise<never> {
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    return this.die()
  }

  /** Holds up whoever waits for it, for good. */
  never(): Promise<never> {
    return new Promise(() => {})
  }
}
