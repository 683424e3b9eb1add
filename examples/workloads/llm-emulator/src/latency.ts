import { readFileSync } from 'node:fs'

/** Points of a measured curve: size, milliseconds; sizes ascend. */
type Curve = readonly (readonly [size: number, ms: number])[]

/** Measured times of a model on a machine. */
export interface LatencyTable {
  /** A prompt by its tokens. */
  readonly promptMs: Curve
  /** A token of every sequence, by the number of sequences that are decoded together. */
  readonly tokenMs: Curve
}

interface Tables {
  readonly source: string
  readonly tables: Readonly<Record<string, LatencyTable>>
}

const DATA = new URL('../data/latency.json', import.meta.url)

export const latencyTables = (): Tables => JSON.parse(readFileSync(DATA, 'utf8'))

/**
 * Linear between the points, and beyond the last one with the slope of its end: an extrapolation.
 */
export function timeAt(curve: Curve, size: number): number {
  const [first] = curve
  if (first === undefined) throw new RangeError('a curve has points')
  if (size <= first[0]) return first[1]
  let [left, right] = [first, first]
  for (const point of curve) {
    ;[left, right] = [right, point]
    if (point[0] >= size) break
  }
  const slope = (right[1] - left[1]) / (right[0] - left[0])
  return left[1] + slope * (size - left[0])
}
