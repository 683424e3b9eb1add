import { describe, expect, it } from 'vitest'
import { quiet, Stage, scale } from '../testing/stage.ts'
import type { Signals } from './messages.ts'

const S = 'j-0-s'
const STEP_MS = 5_000

const inside: Signals = { ...quiet(S), inside: [1, 100], busy: ['gateway/r1'] }
const came: Signals = { ...inside, came: [1, 100] }

/** A service whose only replica has one request. */
function serving(longestMs: number | undefined): Stage {
  const stage = new Stage().node('n1', 4).queue()
  stage.stepMs = STEP_MS
  stage.longestMs = longestMs
  stage.service(S, { wanted: 1, granted: 1, ready: 1 })
  stage.job(S, scale({ wanted: 1, granted: 1, ready: 1 }))
  stage.step(came)
  return stage
}

/** Time from the arrival until no replica is wanted, ms; undefined = one is after `mostMs`. */
function goneAfter(stage: Stage, mostMs: number): number | undefined {
  const sinceMs = stage.atMs
  while (stage.atMs - sinceMs < mostMs) {
    const decided = stage.step(inside).find(({ outcome }) => outcome === 'APPLIED')
    if (decided?.wanted === 0) return stage.atMs - sinceMs
  }
  return undefined
}

describe('a request that takes long', () => {
  it('keeps its replica for as long as a gateway may give it', () => {
    const stage = serving(3_600_000)
    expect(goneAfter(stage, 3_590_000)).toBeUndefined()
    const sinceMs = stage.atMs
    expect(stage.step(quiet(S))).toEqual([])
    while (stage.asked.size === 0) stage.step(quiet(S))
    expect(stage.atMs - sinceMs).toBeLessThanOrEqual(2 * 10_000)
  })

  it('is none when its gauge stays up for longer', () => {
    const gone = goneAfter(serving(3_600_000), 3_700_000)
    expect(gone).toBeGreaterThan(3_600_000)
    expect(gone).toBeLessThanOrEqual(3_600_000 + 2 * 10_000)
  })

  it('is decided upon in older steps as it was, for ten minutes', () => {
    const gone = goneAfter(serving(undefined), 700_000)
    expect(gone).toBeGreaterThan(600_000)
    expect(gone).toBeLessThanOrEqual(600_000 + 2 * 10_000)
  })
})
