import { describe, expect, it } from 'vitest'
import type { Breakage } from './breakages.ts'
import { InterleavingFailure, runInterleavings } from './run.ts'

/** Where the only history in thousands begins that shows a breakage. */
const RARE: Readonly<Partial<Record<Breakage, number>>> = { pruneByCommitTime: 6_000 }

/** Runs histories without a rule until a promise breaks; undefined when none does. */
function firstFailure(breakage: Breakage, count: number): InterleavingFailure | undefined {
  const first = RARE[breakage] ?? 0
  try {
    runInterleavings({ seed: 11, first, count, broken: { [breakage]: true } })
    return undefined
  } catch (error) {
    if (error instanceof InterleavingFailure) return error
    throw error
  }
}

describe('random interleavings', () => {
  it('are the same for the same seed and can be run one by one', () => {
    const all = runInterleavings({ seed: 3, count: 20 })
    expect(runInterleavings({ seed: 3, count: 20 })).toEqual(all)
    let records = 0
    for (let first = 0; first < 20; first += 1) {
      records += runInterleavings({ seed: 3, count: 1, first }).records
    }
    expect(records).toBe(all.records)
  })

  it('print how to run a failure again', () => {
    const failure = firstFailure('answerFromInFlight', 2000)!
    expect(failure.message).toContain(`(seed 11, first ${failure.index}, count 1)`)
    const broken = { answerFromInFlight: true } as const
    const again = (): unknown =>
      runInterleavings({ seed: 11, first: failure.index, count: 1, broken })
    expect(again).toThrow(failure.message)
  })
})

// Each rule looks fussy until it is left out. The number is the one in the protocol's list; behind
// it the promises of which one breaks first.
const BREAKAGES: readonly (readonly [string, Breakage, string])[] = [
  ['1 a claim is recognised by the name of its replica', 'claimByName', 'P10'],
  ['2 ticks and yields are not numbered', 'unnumberedTicks', 'P2 P10'],
  ['2 a claim carries a prev', 'claimWithPrev', 'P2 P10'],
  ['3 a leader yields with a commit in flight', 'yieldInFlight', 'P2 P10'],
  ['3 events are published before their commit is effective', 'publishInFlight', 'P5'],
  ['4 a retry is answered from the table of the commit in flight', 'answerFromInFlight', 'P1'],
  ['5 refusals are answered without a commit', 'refuseWithoutCommit', 'P1'],
  ['6 request entries are dropped by commit time', 'pruneByCommitTime', 'P1'],
  ['7 trimming ignores the publisher', 'trimIgnoresPublisher', 'P5 P7'],
  ['8 snapshots share two slots', 'sharedSnapshotSlots', 'P8'],
  ['9 several publishes are in flight', 'manyPublishes', 'P5'],
  ['9 a mark is a seq alone', 'markSeqOnly', 'P5'],
  ['10 a delayed start of the same epoch is obeyed', 'delayedStart', 'P6'],
  ['11 the leader waits no longer than the lease', 'noLeaseMargin', 'P6'],
  ['11 the leader does not wait for the kill', 'noKillBudget', 'P6'],
  ['14 a void removes its record from arbitration', 'voidRemovesRecord', 'P2 P10'],
  ['15 a sequence is used again with other content', 'reuseSequence', 'P1'],
  ['16 an offset out of range is reset in silence', 'silentReset', 'P2 P10'],
  ['reads of a leader do not wait for the commit in flight', 'readsInFlight', 'P4'],
  ['reports of an older generation are accepted', 'acceptOldGeneration', 'P6'],
]

describe('a rule left out breaks a promise', () => {
  it.each(BREAKAGES)(
    '%s',
    (_what, breakage, promises) => {
      const failure = firstFailure(breakage, 60_000)
      expect(failure, 'nothing broke').toBeDefined()
      expect(promises.split(' '), failure?.message).toContain(failure?.promise)
    },
    60_000,
  )
})
