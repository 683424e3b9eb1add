/**
 * What measurements of agents are refused for. Units and clocks are checked before anything else.
 */

export const REJECTIONS = [
  'COUNTER_BACKWARDS',
  'READING_STALE',
  'SAMPLE_ABSURD',
  'SAMPLE_FOREIGN',
  'SAMPLE_FROZEN',
  'SAMPLE_FUTURE',
  'SAMPLE_KIND',
  'SAMPLE_STALE',
  'SOURCE_UNKNOWN',
] as const
export type Rejection = (typeof REJECTIONS)[number]

/** Sources of readings that are known. */
export const SOURCES: ReadonlySet<string> = new Set([
  'cgroup-v1',
  'cgroup-v2',
  'procfs',
  'psi',
  'nvidia-smi',
  'dcgm',
  'npu-smi',
  'rocm-smi',
  'emulated',
  'report',
])

/** A sample further ahead than this is from the future, one older than that is stale, ms. */
export const FUTURE_MS = 5_000
export const OLD_MS = 60_000
/** A reading older than this when it was sampled is stale, ms. */
export const READING_AGE_MS = 30_000
/** A node whose counter of CPU time stands still for this is frozen, ms. */
const FROZEN_MS = 15_000
/** No node has more cores. */
const CORES_MAX = 4_096
/** Clocks of counters and samples are off by this part of a stretch and so much, µs. */
const SLACK_PART = 1.1
const SLACK_US = 250_000
/** Entities of a node that are remembered. */
const ENTITIES_MAX = 4_096

/** What matters of a sample, whatever it is of. */
export interface SampleFact {
  /** `node`, `task <job>/<gang>/<generation>/<rank>` or `device <index>`, and its source. */
  readonly entity: string
  readonly atMs: number
  readonly source: string
  readonly ageMs: number
  /** Counters, which never go back; `cpuUs` is of CPU time. */
  readonly counters: ReadonlyMap<string, number>
  /** Ranges hold: no value outside, no part above its whole. */
  readonly inRange: boolean
}

interface Mark {
  atMs: number
  counters: ReadonlyMap<string, number>
  /** Since when the CPU counter stands. */
  standsMs: number
}

/** The measurements of one node so far, in one boot of its agent. */
export class NodeMarks {
  readonly #marks = new Map<string, Mark>()

  /** Takes a sample; what it is refused for, or undefined. */
  take(fact: SampleFact, nowMs: number): Rejection | undefined {
    const { entity, atMs, source, ageMs, inRange, counters } = fact
    if (!SOURCES.has(source)) return 'SOURCE_UNKNOWN'
    if (!inRange) return 'SAMPLE_ABSURD'
    if (atMs > nowMs + FUTURE_MS) return 'SAMPLE_FUTURE'
    if (atMs < nowMs - OLD_MS) return 'SAMPLE_STALE'
    if (ageMs > READING_AGE_MS) return 'READING_STALE'
    const mark = this.#marks.get(entity)
    const why = mark === undefined ? undefined : compare(mark, fact)
    if (why !== undefined) return why
    const standsMs = stands(mark, fact) ? (mark?.standsMs ?? atMs) : atMs
    this.#keep(entity, { atMs, counters, standsMs })
    return entity.startsWith('node ') && atMs - standsMs >= FROZEN_MS ? 'SAMPLE_FROZEN' : undefined
  }

  #keep(entity: string, mark: Mark): void {
    // The one that was silent for longest goes first.
    this.#marks.delete(entity)
    this.#marks.set(entity, mark)
    if (this.#marks.size <= ENTITIES_MAX) return
    const [oldest = ''] = this.#marks.keys()
    this.#marks.delete(oldest)
  }
}

const stands = (mark: Mark | undefined, { counters }: SampleFact): boolean => {
  const now = counters.get('cpuUs')
  return now !== undefined && now === mark?.counters.get('cpuUs')
}

function compare(mark: Mark, { atMs, counters }: SampleFact): Rejection | undefined {
  if (atMs <= mark.atMs) return 'SAMPLE_FROZEN'
  for (const [name, value] of counters) {
    if (value < (mark.counters.get(name) ?? 0)) return 'COUNTER_BACKWARDS'
  }
  const before = mark.counters.get('cpuUs')
  const now = counters.get('cpuUs')
  if (before === undefined || now === undefined) return undefined
  const mostUs = (atMs - mark.atMs) * 1_000 * CORES_MAX * SLACK_PART + SLACK_US
  return now - before > mostUs ? 'SAMPLE_ABSURD' : undefined
}
