/** How long starts took, and what checkpoints cost. */
import {
  type CheckpointFact,
  CLOCK_SLACK_MS,
  type GangState,
  type JobState,
  STARTS_KEPT,
  type StartFact,
} from './model.ts'

/** Times as they are told. */
export interface Durations {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly maxMs: number
}

/** Nearest-rank quantiles. */
export function durationsOf(values: readonly number[]): Durations {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { count: sorted.length, p50Ms: at(0.5), p90Ms: at(0.9), maxMs: sorted.at(-1) ?? 0 }
}

/** The start of a gang that runs now; undefined when its placement was not seen in time. */
export function startFact(of: GangState): StartFact | undefined {
  const { gang, generation, placedMs, startedMs } = of
  if (placedMs === 0 || startedMs === 0) return undefined
  const started = startedMs - placedMs
  // Clocks that contradict each other tell nothing.
  if (started < -CLOCK_SLACK_MS) return undefined
  return { gang, generation, startedMs: Math.max(0, started), readyMs: -1 }
}

export const keepStart = (
  starts: readonly StartFact[],
  fact: StartFact | undefined,
): readonly StartFact[] => (fact === undefined ? starts : [...starts, fact].slice(-STARTS_KEPT))

/** The gang is ready. */
export const keepReady = (
  starts: readonly StartFact[],
  of: GangState,
  readyMs: number,
): readonly StartFact[] =>
  starts.map((fact) => {
    if (fact.gang !== of.gang || fact.generation !== of.generation) return fact
    return { ...fact, readyMs: Math.max(fact.startedMs, readyMs - of.placedMs) }
  })

/** Times between checkpoints of one generation after another, ms; resumed steps do not count. */
export function checkpointGaps(checkpoints: readonly CheckpointFact[]): readonly number[] {
  const gaps: number[] = []
  for (const [index, { atMs, step }] of checkpoints.entries()) {
    const before = checkpoints[index - 1]
    if (before !== undefined && step > before.step) gaps.push(atMs - before.atMs)
  }
  return gaps
}

/**
 * A stretch between two step reports that stands out by this part of a period, and holds a
 * checkpoint.
 */
const PAUSE_PERIODS = 0.5

/**
 * Time for which iterations stood still for a checkpoint: how much longer than its iterations a
 * stretch between two reports took that holds exactly one. Undefined where none stands out.
 */
export function checkpointPause(
  job: JobState,
  gang: GangState,
  periodMs: number,
): number | undefined {
  const { points } = gang.track
  const pauses: number[] = []
  for (let at = 1; at < points.length; at += 1) {
    const [fromMs, from] = points[at - 1]!
    const [toMs, to] = points[at]!
    const held = job.checkpoints.filter(({ step }) => step > from && step <= to).length
    if (held !== 1 || to <= from) continue
    const extra = toMs - fromMs - (to - from) * periodMs
    if (extra > PAUSE_PERIODS * periodMs) pauses.push(extra)
  }
  return pauses.length < 2 ? undefined : durationsOf(pauses).p50Ms
}
