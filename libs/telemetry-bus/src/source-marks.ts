import type { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { Missed } from './port.ts'

/** Numbers below the highest one that may still come; older ones count as lost. */
const LATE_WINDOW = 1_024
/** Boots that are remembered; the one that was silent for longest goes first. */
const MAX_BOOTS = 10_000

interface Mark {
  highest: number
  /** When the highest one came, ms. */
  heardMs: number
  readonly missing: Set<number>
}

/** Which batches of each source were seen: tells repeated ones from late ones, counts lost ones. */
export class SourceMarks {
  readonly #boots = new Map<string, Mark>()
  #received = 0
  #repeated = 0
  #lost = 0

  get counts(): { readonly received: number; readonly repeated: number; readonly lost: number } {
    const { missing } = this
    return { received: this.#received, repeated: this.#repeated, lost: this.#lost + missing }
  }

  /** Numbers that have not come and still may. */
  get missing(): number {
    let sum = 0
    for (const mark of this.#boots.values()) sum += mark.missing.size
    return sum
  }

  /**
   * Takes a batch: what of its boot is missing before it; undefined = it was seen already.
   * @param nowMs by a clock that never goes back
   */
  take(
    { source, bootId, seq }: Pick<TelemetryBatch, 'source' | 'bootId' | 'seq'>,
    nowMs: number,
  ): Missed | undefined {
    const mark = this.#markOf(`${source}\n${bootId}`)
    const number = Number(seq)
    let missingMs = 0
    if (number > mark.highest) {
      if (mark.highest > 0 && number > mark.highest + 1) missingMs = nowMs - mark.heardMs
      this.#advance(mark, number)
      mark.heardMs = nowMs
    } else if (!mark.missing.delete(number)) {
      this.#repeated += 1
      return undefined
    }
    this.#received += 1
    return { missing: mark.missing.size, missingMs }
  }

  #advance(mark: Mark, number: number): void {
    // A reader that comes later has not missed what was sent before it.
    const first = mark.highest === 0 ? number : mark.highest + 1
    const from = Math.max(first, number - LATE_WINDOW)
    this.#lost += from - first
    for (let late = from; late < number; late += 1) mark.missing.add(late)
    mark.highest = number
    for (const old of mark.missing) {
      if (old >= number - LATE_WINDOW) break
      mark.missing.delete(old)
      this.#lost += 1
    }
  }

  #markOf(boot: string): Mark {
    const known = this.#boots.get(boot)
    const mark = known ?? { highest: 0, heardMs: 0, missing: new Set<number>() }
    this.#boots.delete(boot)
    this.#boots.set(boot, mark)
    if (known === undefined && this.#boots.size > MAX_BOOTS) this.#forgetOldest()
    return mark
  }

  #forgetOldest(): void {
    for (const [boot, { missing }] of this.#boots) {
      this.#lost += missing.size
      this.#boots.delete(boot)
      return
    }
  }
}
