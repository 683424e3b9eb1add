import type { Message } from '@serverless-ai/kernel'
import type { Item } from './items.ts'

/** Commands of callers that wait at once; more are refused with MAILBOX_FULL. */
export const MAILBOX_MAX = 10_000

const LINGERS: ReadonlySet<Item<Message>['kind']> = new Set(['input', 'outcome'])

/**
 * What waits for the next batch, first come first served. Only callers' commands are counted
 * against the maximum: inputs, timers and effects bound themselves (a window per source, one item
 * per timer, 64 effects at once).
 *
 * Nobody waits for an answer to what other services said, or to the outcome of an effect: these
 * linger, and are committed together with what comes meanwhile.
 */
export class Mailbox<C extends Message> {
  #items: (Item<C> | undefined)[] = []
  #head = 0
  #commands = 0
  #patient: Item<C>[] = []
  #urgent = false

  /** True when another command would be one too many. */
  get full(): boolean {
    return this.#commands >= MAILBOX_MAX
  }

  /** All that waits, patient or not. */
  get size(): number {
    return this.#items.length - this.#head + this.#patient.length
  }

  get empty(): boolean {
    return this.#head >= this.#items.length
  }

  /** True when all that waits may wait a little longer. */
  get lingers(): boolean {
    return !this.empty && !this.#urgent
  }

  push(item: Item<C>): void {
    if (item.kind === 'command') this.#commands += 1
    if (!LINGERS.has(item.kind)) this.#urgent = true
    this.#items.push(item)
  }

  /** What lingers waits no longer. */
  urge(): void {
    this.#urgent = !this.empty
  }

  /** Puts items back in front, in their order. */
  unshift(items: readonly Item<C>[]): void {
    this.#items = [...items, ...this.#items.slice(this.#head)]
    this.#head = 0
    this.urge()
    for (const item of items) if (item.kind === 'command') this.#commands += 1
  }

  /** Keeps an item that makes no commit of its own: it goes with the next one. */
  pushPatient(item: Item<C>): void {
    this.#patient.push(item)
  }

  /** Takes out all that goes with any commit. */
  takePatient(): readonly Item<C>[] {
    const patient = this.#patient
    if (patient.length > 0) this.#patient = []
    return patient
  }

  /** What was patient waits no longer. */
  hurry(): void {
    for (const item of this.takePatient()) this.push(item)
  }

  take(): Item<C> | undefined {
    const item = this.#items[this.#head]
    if (item === undefined) return undefined
    this.#items[this.#head] = undefined
    this.#head += 1
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    if (item.kind === 'command') this.#commands -= 1
    if (this.empty) this.#urgent = false
    return item
  }

  /** Takes everything out. */
  drain(): Item<C>[] {
    const rest = this.#items.slice(this.#head).filter((item) => item !== undefined)
    rest.push(...this.takePatient())
    this.#items = []
    this.#head = 0
    this.#commands = 0
    this.#urgent = false
    return rest
  }
}
