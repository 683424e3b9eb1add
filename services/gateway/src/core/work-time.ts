/** Weight of the newest request in mean and deviation. */
const GAIN = 0.1
/** Deviations above the mean: what most requests stay below. */
const DEVIATIONS = 2

/**
 * Time that requests take at a replica: mean and mean deviation as TCP estimates round trips
 * (Jacobson 1988). What has less time left than this would mostly take a replica for nothing.
 */
export class WorkTime {
  #meanMs = 0
  #deviationMs = 0

  /** What most requests stay below, ms; 0 = none has ended yet. */
  get ms(): number {
    return this.#meanMs + DEVIATIONS * this.#deviationMs
  }

  /** A request took so long. */
  took(ms: number): void {
    if (this.#meanMs === 0) {
      this.#meanMs = ms
      return
    }
    const off = ms - this.#meanMs
    this.#meanMs += off * GAIN
    this.#deviationMs += (Math.abs(off) - this.#deviationMs) * GAIN
  }
}
