import type { Clock } from '@serverless-ai/kernel'
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
    return this.#bootMs + (this.#time.nowMs - this.#sinceMs) * this.#rate
  }

  /** Virtual ms in which this clock moves on by `ms`. */
  toVirtualMs(ms: number): number {
    return ms / this.#rate
  }

  /** The machine was off: the boot clock starts again. */
  reboot(): void {
    this.#bootMs = 0
    this.#sinceMs = this.#time.nowMs
  }
}
