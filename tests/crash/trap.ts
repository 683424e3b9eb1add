import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CrashOrder, type Moment, orderText, parseOrder } from './moments.ts'

const fileIn = (directory: string): string => join(directory, 'crash-order')

/**
 * Orders the process that owns a directory to die: the control plane of a data directory, or the
 * supervisor or agent of a node's one. It may run already.
 */
export function giveOrder(directory: string, order: CrashOrder): void {
  const path = fileIn(directory)
  writeFileSync(`${path}.tmp`, orderText(order))
  renameSync(`${path}.tmp`, path)
}

/** True while the order has not been carried out. */
export const isOrdered = (directory: string): boolean => existsSync(fileIn(directory))

/** Takes an order back. */
export const withdrawOrder = (directory: string): void => rmSync(fileIn(directory), { force: true })

/** Counts how often the ordered moment came about and ends the process when it is time. */
export class Trap {
  readonly #directory: string
  #order = ''
  #count = 0
  /** From now on nothing that is read from the log reaches the process. */
  held = false
  /** The next effect does not leave: the process dies instead. */
  effectArmed = false

  constructor(directory: string) {
    this.#directory = directory
  }

  /** True when this is the ordered occurrence of the moment. */
  hit(moment: Moment): boolean {
    const text = this.#read()
    if (text !== this.#order) this.#count = 0
    this.#order = text
    if (text === '') return false
    const order = parseOrder(text)
    if (order.moment !== moment) return false
    this.#count += 1
    return this.#count === order.nth
  }

  #read(): string {
    try {
      return readFileSync(fileIn(this.#directory), 'utf8')
    } catch {
      return ''
    }
  }

  /** SIGKILL to this very process: no handler, no flush, no graceful end. Never resolves. */
  die(): Promise<never> {
    // The only trace that it died as ordered.
    withdrawOrder(this.#directory)
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
