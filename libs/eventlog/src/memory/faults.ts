import type { Randomness } from '@serverless-ai/kernel'

/** From and to, both included, ms. */
export type DelayRange = readonly [minMs: number, maxMs: number]

/**
 * Faults of one opener of a memory log. Shares are probabilities from 0 to 1, drawn per call from
 * `randomness`; at most one of the four fates of an append is drawn, so their sum is at most 1.
 * Everything is 0 (never) by default.
 */
export interface MemoryLogFaults {
  /** Where chance comes from; the opener's ports by default. */
  readonly randomness?: Randomness
  /** An append lands after this long. */
  readonly sendDelayMs?: DelayRange
  /** Its acknowledgement takes this long. */
  readonly ackDelayMs?: DelayRange
  /** The answer of a read takes this long. */
  readonly readDelayMs?: DelayRange
  /** Nothing lands, the outcome is unknown to the caller. */
  readonly lostShare?: number
  /** It lands, the outcome is unknown to the caller. */
  readonly unknownShare?: number
  /** The outcome is unknown, and it lands only later: after other appends. */
  readonly lateShare?: number
  /** It lands and is acknowledged, and a second copy lands later. */
  readonly duplicateShare?: number
  /** How much later late and second copies land. Default 1 to 50 ms. */
  readonly lateDelayMs?: DelayRange
  /** A read returns only some of what it could (never none). */
  readonly tornShare?: number
  /** The disk of the log is full: appends are refused with `DISK_FULL`, nothing lands. */
  readonly full?: boolean
}

/** What happens to one append. */
export type Fate = 'ok' | 'lost' | 'unknown' | 'late' | 'duplicate'

/** Draws the fate of an append. */
export function drawFate(faults: MemoryLogFaults, randomness: Randomness): Fate {
  const { lostShare = 0, unknownShare = 0, lateShare = 0, duplicateShare = 0 } = faults
  if (lostShare + unknownShare + lateShare + duplicateShare === 0) return 'ok'
  let x = randomness.float()
  const fates = { lost: lostShare, unknown: unknownShare, late: lateShare } as const
  for (const fate of ['lost', 'unknown', 'late'] as const) {
    if (x < fates[fate]) return fate
    x -= fates[fate]
  }
  return x < duplicateShare ? 'duplicate' : 'ok'
}

/** Draws a delay, ms. */
export function drawDelayMs(range: DelayRange | undefined, randomness: Randomness): number {
  if (range === undefined) return 0
  const [min, max] = range
  return min + randomness.float() * (max - min)
}
