import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import { type Broken, PromiseBroken } from './breakages.ts'
import { History } from './history.ts'
import { LeaseHistory } from './leases.ts'

/** What a campaign of random histories is run with. */
export interface InterleavingOptions {
  /** 32 bits; the same seed gives the same histories. */
  readonly seed: number
  /** Number of histories. */
  readonly count: number
  /** Index of the first one; with `count` 1 it runs one history again. Default 0. */
  readonly first?: number
  /** Rules left out. Default none. */
  readonly broken?: Broken
  /** Called every 1,000 histories with the number done. */
  readonly onProgress?: (done: number) => void
}

/** What was run. */
export interface InterleavingSummary {
  readonly histories: number
  readonly records: number
  readonly acknowledged: number
  /** Generations of the exclusive task that ran, in the histories of leases. */
  readonly generations: number
}

/** A history in which a promise did not hold, and how to run it again. */
export class InterleavingFailure extends Error {
  override readonly name = 'InterleavingFailure'
  readonly promise: string
  readonly index: number
  constructor(cause: PromiseBroken, at: { seed: number; index: number }) {
    super(`${cause.message} (seed ${at.seed}, first ${at.index}, count 1)`, { cause })
    this.promise = cause.promise
    this.index = at.index
  }
}

/** Seeds of neighbouring histories have nothing in common (finalizer of MurmurHash3). */
function mix(seed: number, index: number): number {
  let h = (seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * Most histories are short, where a failure is easy to read; some are long, so that snapshots and
 * trimming come into play.
 */
function drawSteps(random: SeededRandomness): number {
  return random.chance(0.08) ? 200 + random.int(400) : 40 + random.int(100)
}

/**
 * Runs random histories of claims, commits, ticks, yields, retries, duplicates, reorderings,
 * pauses, crashes, trimming, publishes and snapshots over the product's records and arbitration,
 * and of leases, and checks the promises of the log protocol against the reference. Throws {@link
 * InterleavingFailure} at the first one that does not hold.
 */
export function runInterleavings(options: InterleavingOptions): InterleavingSummary {
  const { seed, count, first = 0, broken = {}, onProgress } = options
  let [records, acknowledged, generations] = [0, 0, 0]
  for (let index = first; index < first + count; index += 1) {
    const random = seededRandomness(mix(seed, index))
    const history = new History(random, broken)
    try {
      history.run(drawSteps(random))
      const leases = new LeaseHistory(random.fork(), broken)
      leases.run()
      generations += leases.record.generations
    } catch (error) {
      if (error instanceof PromiseBroken) throw new InterleavingFailure(error, { seed, index })
      throw error
    }
    records += history.world.end
    acknowledged += history.world.acknowledged.length
    const done = index - first + 1
    if (onProgress !== undefined && done % 1000 === 0) onProgress(done)
  }
  return { histories: count, records, acknowledged, generations }
}
