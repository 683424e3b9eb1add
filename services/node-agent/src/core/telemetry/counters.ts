/**
 * A counter that is the sum over processes: one that ends may take its part along, and the sum
 * falls. What has been counted stays counted.
 */
export class RisingSum {
  #base = 0
  #last = 0

  /** The counter when the sum is `sum` now; undefined stays undefined. */
  next(sum: number | undefined): number | undefined {
    if (sum === undefined) return undefined
    if (sum < this.#last) this.#base += this.#last - sum
    this.#last = sum
    return this.#base + sum
  }
}

/** Limits of {@link CpuTrace}, microseconds. */
const STRETCH_MIN_US = 10_000
const STRETCH_MAX_US = 1_000_000
const STRETCHES_MAX = 1_000

/** CPU time of a task stretch by stretch, between two samples. */
export interface TracedStretches {
  readonly stretchUs: readonly number[]
  readonly cpuUs: readonly number[]
}

/** Gathers CPU time at short distances, so that bursts of iterations show. */
export class CpuTrace {
  #stretchUs: number[] = []
  #cpuUs: number[] = []
  #last: { readonly atUs: number; readonly cpuUs: number } | undefined

  /** The counter at a moment; a stretch that is too long, or a counter that fell, begins anew. */
  add(atUs: number, cpuUs: number): void {
    const last = this.#last
    this.#last = { atUs, cpuUs }
    if (last === undefined) return
    const stretch = Math.round(atUs - last.atUs)
    const used = cpuUs - last.cpuUs
    if (stretch > STRETCH_MAX_US || used < 0 || this.#cpuUs.length >= STRETCHES_MAX) {
      this.#clear()
      return
    }
    if (stretch < STRETCH_MIN_US) {
      // Too short to stand alone: it goes on with the next one, or with the one before at the end.
      this.#last = last
      return
    }
    this.#stretchUs.push(stretch)
    this.#cpuUs.push(Math.round(used))
  }

  /**
   * The stretches up to this moment, the last of which ends here; undefined when there are none.
   * What comes next begins here.
   */
  take(atUs: number, cpuUs: number): TracedStretches | undefined {
    this.add(atUs, cpuUs)
    const last = this.#last
    const end = this.#cpuUs.length - 1
    if (last !== undefined && last.atUs !== atUs && end >= 0) {
      const stretch = Math.round(atUs - last.atUs) + (this.#stretchUs[end] ?? 0)
      this.#stretchUs[end] = Math.min(STRETCH_MAX_US, stretch)
      this.#cpuUs[end] = (this.#cpuUs[end] ?? 0) + Math.max(0, Math.round(cpuUs - last.cpuUs))
    }
    const stretches = { stretchUs: this.#stretchUs, cpuUs: this.#cpuUs }
    this.#clear()
    this.#last = { atUs, cpuUs }
    return stretches.cpuUs.length === 0 ? undefined : stretches
  }

  /** Nobody looks any more: what comes later does not follow. */
  stop(): void {
    this.#clear()
    this.#last = undefined
  }

  #clear(): void {
    this.#stretchUs = []
    this.#cpuUs = []
  }
}
