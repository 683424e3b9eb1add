/**
 * How long the past is kept. Verified snapshots are the milestones: the log is only ever cut at one
 * of them, so that every position that is kept can still be folded from the snapshot below it.
 */
import type { Framework } from './framework.ts'

/** Milestones inside a retention: it is exceeded by a fourteenth or so (one day of 14). */
const MILESTONES = 14

/** A verified snapshot that bounds what is older. */
export interface Milestone {
  readonly name: string
  readonly position: number
  /** Log time when it was verified: no record up to `position` is younger. */
  readonly atMs: number
  /**
   * Offset of the last public event that was known to be published then: no record of the events
   * topic up to it is younger than `atMs`. -1 = none.
   */
  readonly eventsOffset: number
}

/** What may be removed. */
export interface TrimPlan {
  /** Lowest position of the private log that is needed. */
  readonly log: number
  /** Lowest offset of the events topic that is kept; -1 = all. */
  readonly events: number
  /** Snapshots that replace what is removed: without all of them nothing may be. */
  readonly needs: readonly string[]
}

/** Log time between two milestones, ms; infinite where everything is kept (`retentionMs` 0). */
export const milestoneEveryMs = (retentionMs: number): number =>
  retentionMs === 0 ? Number.POSITIVE_INFINITY : retentionMs / MILESTONES

/**
 * Milestones that are still of use, oldest first: the newest one older than `retentionMs` (0 = keep
 * everything), those a fourteenth of it apart, and the two newest. At most 17. Needs them in order.
 */
export function keptMilestones(
  all: readonly Milestone[],
  { retentionMs, nowMs }: { readonly retentionMs: number; readonly nowMs: number },
): readonly Milestone[] {
  const cutMs = retentionMs === 0 ? Number.NEGATIVE_INFINITY : nowMs - retentionMs
  const first = Math.max(
    0,
    all.findLastIndex(({ atMs }) => atMs <= cutMs),
  )
  const everyMs = milestoneEveryMs(retentionMs)
  const kept: Milestone[] = []
  for (const [index, one] of all.entries()) {
    if (index < first) continue
    const last = kept.at(-1)
    const apart = last === undefined || one.atMs - last.atMs >= everyMs
    if (apart || index >= all.length - 2) kept.push(one)
  }
  return kept
}

/**
 * What may be removed when the past is kept for `retentionMs` of log time: nothing that the second
 * newest verified snapshot or the publisher needs, and nothing younger. Undefined = nothing at all.
 * A consumer of public events whose mark lies below takes over the present state instead.
 */
export function trimPlan(framework: Framework, retentionMs: number): TrimPlan | undefined {
  const { verified, milestones, lastAtMs } = framework
  const [newest, second] = verified
  if (retentionMs === 0 || newest === undefined || second === undefined) return undefined
  const base = milestones.findLast(({ atMs }) => atMs <= lastAtMs - retentionMs)
  if (base === undefined) return undefined
  const unpublished = framework.unpublished[0]?.position ?? Number.POSITIVE_INFINITY
  return {
    log: Math.min(base.position, second.position, unpublished),
    events: base.eventsOffset,
    needs: [newest.name, second.name, base.name],
  }
}
