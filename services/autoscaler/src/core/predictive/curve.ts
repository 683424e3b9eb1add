import { math } from '@serverless-ai/kernel'

/** Loads are told apart in steps of an eighth of a doubling. */
const STEPS_PER_DOUBLING = 8
/** Buckets below and above the safe load. */
const BELOW = 40
const ABOVE = 32
/** Bucket that ends with the safe load. */
export const SAFE_BUCKET = BELOW
export const BUCKETS = BELOW + ABOVE + 1
const RATIO = math.pow(2, 1 / STEPS_PER_DOUBLING)
const LN_RATIO = math.log(RATIO)
/** What the safe default weighs, in requests. */
const PRIOR = 8
/** Counts are kept in thousandths, so that they can fade. */
const SCALE = 1_000
/** Requests that a bucket needs to speak for itself. */
const ENOUGH = 10

/** How many requests ended at which load of a replica, and how many of them missed what. */
export interface Curve {
  /** By bucket, in thousandths. */
  readonly finished: readonly number[]
  /** By clause, by bucket, in thousandths. */
  readonly missed: readonly (readonly number[])[]
}

export function emptyCurve(clauses: number): Curve {
  const zeros = () => Array.from({ length: BUCKETS }, () => 0)
  return { finished: zeros(), missed: Array.from({ length: clauses }, zeros) }
}

/** Bucket of a load, in shares of the safe one. */
export function bucketOf(share: number): number {
  if (!(share > 0)) return 0
  const bucket = BELOW + Math.ceil(math.log(share) / LN_RATIO)
  return Math.min(BUCKETS - 1, Math.max(0, bucket))
}

/** Highest load of a bucket, in shares of the safe one. */
export function loadOf(bucket: number): number {
  return math.pow(2, (bucket - BELOW) / STEPS_PER_DOUBLING)
}

/** With the requests that ended at a load. */
export function learn(
  curve: Curve,
  bucket: number,
  ended: { readonly finished: number; readonly missed: readonly number[] },
): Curve {
  const add = (counts: readonly number[], more: number) =>
    counts.map((count, index) => (index === bucket ? count + more * SCALE : count))
  return {
    finished: add(curve.finished, ended.finished),
    missed: curve.missed.map((counts, clause) => add(counts, ended.missed[clause] ?? 0)),
  }
}

/** What was seen long ago weighs less: `keepPpm` of it stays. */
export function fade(curve: Curve, keepPpm: number): Curve {
  const less = (counts: readonly number[]) =>
    counts.map((count) => Math.floor((count * keepPpm) / 1_000_000))
  return { finished: less(curve.finished), missed: curve.missed.map(less) }
}

/** Beyond the highest load that was seen, misses are expected to become certain within so much. */
const CERTAIN_BUCKETS = 12

/**
 * Share of requests that miss a clause, by bucket of load: what was seen, made monotone (a higher
 * load does not miss less). Nothing misses up to the safe load until it was seen to; beyond the
 * highest load that was seen the share goes up to 1 within a factor of 2.8.
 */
export function missShares(curve: Curve, clause: number): readonly number[] {
  const missed = curve.missed[clause]!
  const highest = highestSeen(curve)
  const blocks: { weight: number; share: number; size: number }[] = []
  for (let bucket = 0; bucket <= highest; bucket += 1) {
    const finished = curve.finished[bucket]! / SCALE
    const prior = finished < ENOUGH && bucket <= BELOW ? PRIOR : 0
    const weight = Math.max(finished + prior, 1e-6)
    let block = { weight, share: missed[bucket]! / SCALE / weight, size: 1 }
    for (;;) {
      const last = blocks.at(-1)
      if (last === undefined || last.share <= block.share) break
      blocks.pop()
      const sum = last.weight + block.weight
      const share = (last.share * last.weight + block.share * block.weight) / sum
      block = { weight: sum, share, size: last.size + block.size }
    }
    blocks.push(block)
  }
  const seen = blocks.flatMap(({ share, size }) => Array.from({ length: size }, () => share))
  const from = seen.at(-1) ?? 0
  const beyond = Array.from({ length: BUCKETS - seen.length }, (_, index) =>
    Math.min(1, from + (index + 1) / CERTAIN_BUCKETS),
  )
  return [...seen, ...beyond]
}

/** Highest bucket that enough requests ended at; the safe load's when there is none beyond. */
export function highestSeen(curve: Curve): number {
  let highest = BELOW
  curve.finished.forEach((count, bucket) => {
    if (count >= ENOUGH * SCALE && bucket > highest) highest = bucket
  })
  return highest
}
