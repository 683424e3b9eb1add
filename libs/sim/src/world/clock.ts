import type { Clock } from '@serverless-ai/kernel'
import { GRID } from './time.ts'
import type { ClockFaults, SimTime } from './types.ts'

/** Clock of a machine: its own idea of virtual time. */
export class MachineClock implements Clock, ClockFaults {
  #skewMs = 0
  readonly #time: SimTime
  readonly #wallBaseMs: number
  #rate = 1
  /** Boot clock at the virtual moment since which the present rate holds. */
  #bootMs = 0
  #sinceMs: number

  constructor(time: SimTime, wallBaseMs: number) {
    this.#time = time
    this.#wallBaseMs = wallBaseMs
    this.#sinceMs = time.nowMs
  }

  get rate(): number {
    return this.#rate
  }

  get skewMs(): number {
    return this.#skewMs
  }

  /** A jump of the wall clock, another rate from now on. */
  set({ skewMs, rate }: ClockFaults): void {
    if (!(rate > 0)) throw new RangeError(`a clock's rate is above 0, not ${rate}`)
    this.#bootMs = this.bootMs()
    this.#sinceMs = this.#time.nowMs
    this.#rate = rate
    this.#skewMs = skewMs
  }

  wallMs(): number {
    return this.#wallBaseMs + this.#time.nowMs + this.#skewMs
  }

  monotonicMs(): number {
    return this.bootMs()
  }

  bootMs(): number {
    return this.#bootAt(this.#time.nowMs)
  }

  #bootAt(atMs: number): number {
    return this.#bootMs + Math.floor((atMs - this.#sinceMs) * this.#rate * GRID) / GRID
  }

  /** Virtual moment at which this clock will have moved on by `ms`: never less. */
  momentAfter(ms: number): number {
    const target = this.bootMs() + ms
    const { nowMs } = this.#time
    if (!(ms > 0)) return nowMs
    let moment = Math.ceil((nowMs + ms / this.#rate) * GRID) / GRID
    // The clock reads in whole steps, so the quotient may fall one short.
    while (this.#bootAt(moment) < target) moment += 1 / GRID
    return moment
  }

  /** The machine was off: the boot clock starts again. */
  reboot(): void {
    this.#bootMs = 0
    this.#sinceMs = this.#time.nowMs
  }
}
