/** Which batches are counted, and how the sources are. */
import type { BatchFacts } from './messages.ts'
import {
  BOOTS_KEPT,
  type BootMarks,
  FUTURE_MS,
  GRACE_MS,
  INTERVAL_MS,
  LATE_BATCHES,
  SILENT_MS,
  type SlaState,
  type SourceHealth,
  type SourceState,
} from './model.ts'

type Range = readonly [from: number, to: number]
type Numbered = Pick<BatchFacts, 'bootId' | 'seq' | 'sentMs'>

const sizeOf = (ranges: readonly Range[]): number =>
  ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)

/** Batches that have not come and still may. */
export const missingOf = (source: SourceState): number =>
  source.boots.reduce((sum, { missing }) => sum + sizeOf(missing), 0)

/** Batches that were never counted, over all sources since the monitor began. */
export function lostTotal(state: SlaState, changed?: ReadonlyMap<string, SourceState>): number {
  let sum = state.lostForgotten
  for (const source of state.sources.values()) {
    const now = changed?.get(source.source) ?? source
    sum += now.lost + missingOf(now)
  }
  for (const source of changed?.values() ?? []) {
    if (!state.sources.has(source.source)) sum += source.lost + missingOf(source)
  }
  return sum
}

/** A source that is heard for the first time. */
export const newSource = (source: string, atMs: number): SourceState => ({
  source,
  boots: [],
  health: 'OK',
  busy: false,
  heardMs: atMs,
  newestMs: 0,
  advancedMs: atMs,
  offsetMs: 0,
  batches: 0,
  lost: 0,
  dropped: 0,
  rejected: 0,
  future: 0,
  late: 0,
})

/** Leaves one number out of ascending ranges. */
function without(ranges: readonly Range[], number: number): readonly Range[] {
  return ranges.flatMap(([from, to]): Range[] => {
    if (number < from || number > to) return [[from, to]]
    const parts: Range[] = [
      [from, number - 1],
      [number + 1, to],
    ]
    return parts.filter(([low, high]) => low <= high)
  })
}

/** Cuts what is below `from`. */
const cut = (ranges: readonly Range[], from: number): readonly Range[] =>
  ranges.flatMap(([low, high]): Range[] => (high < from ? [] : [[Math.max(low, from), high]]))

/** Takes a number; undefined = it is counted, or given up, already. */
function takeNumber(
  boot: BootMarks,
  seq: number,
): { readonly boot: BootMarks; readonly lost: number } | undefined {
  const { highest, missing, early } = boot
  if (seq <= highest) {
    const left = { ...boot, missing: without(missing, seq), early: without(early, seq) }
    const took = sizeOf(missing) + sizeOf(early) - sizeOf(left.missing) - sizeOf(left.early)
    return took === 0 ? undefined : { boot: left, lost: 0 }
  }
  const gap: readonly Range[] = seq > highest + 1 ? [[highest + 1, seq - 1]] : []
  const all = [...missing, ...gap]
  const left = cut(all, seq - LATE_BATCHES)
  const now = { ...boot, highest: seq, missing: left, early: cut(early, seq - LATE_BATCHES) }
  return { boot: now, lost: sizeOf(all) - sizeOf(left) }
}

/**
 * A boot that is heard for the first time. What it sent before is missing only where it must have
 * begun since its source was heard: a source that is new here may just have had nothing to say for
 * long, and one that was forgotten was counted before. What such a one sent earlier may still come.
 */
function newBoot({ boots, newestMs }: SourceState, { bootId, seq, sentMs }: Numbered): BootMarks {
  const beganHere = boots.length > 0 && sentMs > newestMs
  if (beganHere || seq === 1) return { bootId, highest: 0, missing: [], early: [] }
  const early: readonly Range[] = [[Math.max(1, seq - LATE_BATCHES), seq - 1]]
  return { bootId, highest: seq - 1, missing: [], early }
}

/** Takes a batch into the marks of its source; undefined = it was counted before. */
export function takeBatch(source: SourceState, batch: Numbered): SourceState | undefined {
  const { bootId, seq } = batch
  const known = source.boots.find((boot) => boot.bootId === bootId)
  const taken = takeNumber(known ?? newBoot(source, batch), seq)
  if (taken === undefined) return undefined
  const boots =
    known === undefined
      ? [taken.boot, ...source.boots]
      : source.boots.map((boot) => (boot === known ? taken.boot : boot))
  const gone = boots.slice(BOOTS_KEPT).reduce((sum, { missing }) => sum + sizeOf(missing), 0)
  return {
    ...source,
    boots: boots.slice(0, BOOTS_KEPT),
    batches: source.batches + 1,
    lost: source.lost + taken.lost + gone,
  }
}

/** How a source is, by the batch that was heard of it just now. */
export function healthOf(source: SourceState, batch: BatchFacts, atMs: number): SourceHealth {
  const offsetMs = atMs - batch.sentMs
  if (offsetMs > GRACE_MS || offsetMs < -FUTURE_MS) return 'SKEWED'
  const stands = batch.newestMs <= source.newestMs && atMs - source.advancedMs > SILENT_MS
  // A pause is no standstill: the time since the last batch does not count.
  return stands && atMs - source.heardMs < SILENT_MS ? 'FROZEN' : 'OK'
}

/**
 * Whether calm may be believed: all sources are well, those that held requests were heard just now,
 * and what they tell is new. An alert does not end on windows that somebody did not fill.
 */
export const isCertain = (sources: Iterable<SourceState>, atMs: number): boolean => {
  for (const { health, busy, heardMs, advancedMs } of sources) {
    const quietMs = atMs - heardMs
    if (health !== 'OK' || (busy && quietMs > INTERVAL_MS)) return false
    // The last word of one that is idle may have been a late one.
    if (heardMs - advancedMs > INTERVAL_MS && quietMs <= SILENT_MS) return false
  }
  return true
}

/** The worst that is known of the sources. */
export function dataState(sources: Iterable<SourceState>): SourceHealth {
  const order: readonly SourceHealth[] = ['OK', 'SKEWED', 'FROZEN', 'SILENT']
  let worst = 0
  for (const { health } of sources) worst = Math.max(worst, order.indexOf(health))
  return order[worst] ?? 'OK'
}
