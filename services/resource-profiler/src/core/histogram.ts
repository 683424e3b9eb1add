/**
 * Counts by value in buckets that grow by 5 %, so that a quantile is off by at most 2.5 %. Values
 * from 0.1 to 10⁸; below is a bucket of its own (0), above is the last.
 */

const FIRST = 0.1
const RATIO = 1.05
const LAST = 1e8

/** Upper ends, made by multiplication alone: the same on every machine. */
const BOUNDS: readonly number[] = (() => {
  const bounds: number[] = []
  for (let bound = FIRST; bound < LAST; bound *= RATIO) bounds.push(bound)
  return bounds
})()

/** Bucket of a value. */
export function bucketOf(value: number): number {
  let low = 0
  let high = BOUNDS.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (value < BOUNDS[middle]!) high = middle
    else low = middle + 1
  }
  return low
}

/** Middle of a bucket. */
export function middleOf(bucket: number): number {
  if (bucket === 0) return 0
  return (BOUNDS[bucket - 1]! * (1 + RATIO)) / 2
}

/** `[bucket, count]`, ascending. */
export type Cells = readonly (readonly [bucket: number, count: number])[]

/** What was seen of one quantity. `sum` and `squares` are those of the values. */
export type Digest = {
  readonly count: number
  readonly sum: number
  readonly squares: number
  readonly peak: number
  readonly cells: Cells
}

export const NOTHING: Digest = { count: 0, sum: 0, squares: 0, peak: 0, cells: [] }

/** Digest of values. */
export function digestOf(values: readonly number[]): Digest {
  const cells = new Map<number, number>()
  let [sum, squares, peak] = [0, 0, 0]
  for (const value of values) {
    const bucket = bucketOf(value)
    cells.set(bucket, (cells.get(bucket) ?? 0) + 1)
    sum += value
    squares += value * value
    peak = Math.max(peak, value)
  }
  return { count: values.length, sum, squares, peak, cells: sorted(cells) }
}

const sorted = (cells: ReadonlyMap<number, number>): Cells => [...cells].sort(([a], [b]) => a - b)

/** Two digests as one. */
export function merge(a: Digest, b: Digest): Digest {
  if (a.count === 0) return b
  if (b.count === 0) return a
  const cells = new Map(a.cells)
  for (const [bucket, count] of b.cells) cells.set(bucket, (cells.get(bucket) ?? 0) + count)
  return {
    count: a.count + b.count,
    sum: a.sum + b.sum,
    squares: a.squares + b.squares,
    peak: Math.max(a.peak, b.peak),
    cells: sorted(cells),
  }
}

/** The same with half the weight; the peak stays. */
export function fade(digest: Digest): Digest {
  return {
    count: digest.count / 2,
    sum: digest.sum / 2,
    squares: digest.squares / 2,
    peak: digest.peak,
    cells: digest.cells.map(([bucket, count]) => [bucket, count / 2] as const),
  }
}

/** Value that a share of the counts does not exceed, 0 to 1; never above the peak. */
export function quantile({ cells, count, peak }: Digest, share: number): number {
  let left = share * count
  for (const [bucket, held] of cells) {
    left -= held
    if (left <= 0) return Math.min(peak, middleOf(bucket))
  }
  return peak
}
