/** CPU time in stretches of uneven length → CPU use on an even grid. */
import type { CpuSeries } from './period.ts'

export interface TracePoint {
  /** End of the stretch, microseconds since 1970. */
  readonly endUs: number
  readonly stretchUs: number
  /** CPU time in it, microseconds. */
  readonly cpuUs: number
}

/** Points of the grid at most. */
const GRID_MAX = 800
/** A hole longer than so many stretches ends what belongs together. */
const HOLE = 3

/** The newest stretches that follow each other without a hole. */
function connected(points: readonly TracePoint[]): readonly TracePoint[] {
  for (let at = points.length - 1; at > 0; at -= 1) {
    const { endUs, stretchUs } = points[at]!
    const holeUs = endUs - stretchUs - points[at - 1]!.endUs
    if (holeUs > HOLE * stretchUs || holeUs < -HOLE * stretchUs) return points.slice(at)
  }
  return points
}

/** Stretch that half of them are not longer than. */
function medianStretch(points: readonly TracePoint[]): number {
  const sorted = points.map(({ stretchUs }) => stretchUs).sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

/**
 * CPU use on a grid of half stretches, by the counter between their ends: what a stretch used is
 * spread over it evenly.
 */
export function gridOf(all: readonly TracePoint[]): CpuSeries {
  const points = connected(all)
  // Half a stretch: a return between two points of a wider grid would show in neither.
  const stepUs = medianStretch(points) / 2
  const first = points[0]
  const last = points.at(-1)
  if (first === undefined || last === undefined || stepUs === 0) return { stepMs: 1, values: [] }
  const fromUs = first.endUs - first.stretchUs
  const count = Math.min(GRID_MAX, Math.floor((last.endUs - fromUs) / stepUs))
  const startUs = last.endUs - count * stepUs
  const values: number[] = []
  let at = 0
  // Counter at the end of the stretch before `at`, and where the grid stood.
  let sum = 0
  let before = counterAt(startUs)
  function counterAt(us: number): number {
    while (at < points.length && points[at]!.endUs <= us) {
      sum += points[at]!.cpuUs
      at += 1
    }
    const point = points[at]
    if (point === undefined) return sum
    const into = us - (point.endUs - point.stretchUs)
    return sum + point.cpuUs * Math.max(0, into / point.stretchUs)
  }
  for (let step = 1; step <= count; step += 1) {
    const now = counterAt(startUs + step * stepUs)
    values.push(((now - before) / stepUs) * 1_000)
    before = now
  }
  return { stepMs: stepUs / 1_000, values }
}
