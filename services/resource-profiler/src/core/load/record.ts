/** Folds buckets of load. */
import type { LoadRow } from '../messages.ts'
import { BUCKETS_KEPT, type LoadState, newLoad, type ProfilerState } from '../model.ts'

/** What lies between the newest bucket and a row, at most as many as are kept. */
function gapOf(load: LoadState, row: LoadRow): readonly number[] {
  if (load.newest < 0) return []
  const length = Math.min(BUCKETS_KEPT, Math.max(0, row.first - load.newest - 1))
  return Array.from({ length }, () => (row.gap === 'nothing' ? 0 : -1))
}

/** Adds a row behind the newest bucket. */
export function evolveLoad(state: ProfilerState, row: LoadRow): void {
  let load = state.loads.get(row.jobId)
  if (load === undefined) {
    load = newLoad(row.jobId)
    state.loads.set(row.jobId, load)
  }
  const gap = gapOf(load, row)
  load.arrivals = [...load.arrivals, ...gap, ...row.arrivals].slice(-BUCKETS_KEPT)
  load.tokens = [...load.tokens, ...gap, ...row.tokens].slice(-BUCKETS_KEPT)
  load.newest = row.first + row.arrivals.length - 1
}
