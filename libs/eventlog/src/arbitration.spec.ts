import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type ArbitrationState,
  arbitrateBytes,
  arbitrationFromJson,
  arbitrationToJson,
  initialArbitration,
} from './arbitration.ts'
import { Commit_Kind, encodeClaim, encodeCommit, encodeVoid } from './record.ts'

const id = (n: number): Buffer => Buffer.alloc(16, n)

const claim = (epoch: number, claimId = epoch): Uint8Array =>
  encodeClaim({
    epoch: BigInt(epoch),
    claimId: id(claimId),
    replica: 'r1',
    address: '127.0.0.1:1',
    atMs: 5n,
  })

type CommitParts = { epoch: number; sequence: number; prev: Uint8Array; kind?: Commit_Kind }

const commit = ({ epoch, sequence, prev, kind = Commit_Kind.NORMAL }: CommitParts): Uint8Array =>
  encodeCommit({
    commitId: id(sequence),
    epoch: BigInt(epoch),
    sequence: BigInt(sequence),
    prev: Buffer.from(prev),
    kind,
    atMs: 5n,
    inputs: [],
    answers: [],
    events: [],
    publics: [],
    runtime: [],
  })

/** Folds the records and fails unless all are effective. */
function fold(...records: Uint8Array[]): ArbitrationState {
  return records.reduce((state, bytes) => {
    const result = arbitrateBytes(state, bytes)
    expect(result.verdict).toBe('effective')
    return result.state
  }, initialArbitration)
}

/** Claim of epoch 1 and `count` commits. */
function epochOne(count: number): ArbitrationState {
  let state = fold(claim(1))
  for (let sequence = 0; sequence < count; sequence += 1) {
    state = arbitrateBytes(state, commit({ epoch: 1, sequence, prev: state.chain })).state
  }
  return state
}

describe('arbitration', () => {
  it('starts closed, at epoch 0, with a chain of zeros', () => {
    expect(arbitrationToJson(initialArbitration)).toEqual({
      epoch: 0,
      open: false,
      nextSequence: 0,
      chain: '0'.repeat(64),
    })
  })

  it('opens the next epoch by a claim', () => {
    const state = fold(claim(1), claim(2))
    expect(state).toMatchObject({ epoch: 2, open: true, nextSequence: 0 })
  })

  it('skips a claim of an epoch that is over or open', () => {
    const state = fold(claim(1), claim(2))
    for (const epoch of [0, 1, 2]) {
      const result = arbitrateBytes(state, claim(epoch, 9))
      expect(result.verdict).toBe('void')
      expect(result.state).toBe(state)
    }
  })

  it('calls a claim that skips an epoch damage', () => {
    expect(arbitrateBytes(fold(claim(1)), claim(3)).verdict).toBe('damaged')
  })

  it('counts the commits of the open epoch up', () => {
    expect(epochOne(3)).toMatchObject({ epoch: 1, open: true, nextSequence: 3 })
  })

  it('chains SHA-256 over the bytes of effective claims and commits', () => {
    const first = claim(1)
    const sha = (...pieces: Uint8Array[]): Buffer =>
      createHash('sha256').update(Buffer.concat(pieces)).digest()
    const one = sha(new Uint8Array(32), first)
    const second = commit({ epoch: 1, sequence: 0, prev: one })
    expect(Buffer.from(fold(first, second).chain)).toEqual(sha(one, second))
  })

  it('skips a second copy of a commit and leaves the chain', () => {
    const state = fold(claim(1))
    const bytes = commit({ epoch: 1, sequence: 0, prev: state.chain })
    const after = arbitrateBytes(state, bytes).state
    const again = arbitrateBytes(after, bytes)
    expect(again.verdict).toBe('void')
    expect(again.state).toBe(after)
  })

  it('skips a commit of an earlier epoch', () => {
    const before = epochOne(1)
    const after = arbitrateBytes(before, claim(2)).state
    const late = commit({ epoch: 1, sequence: 1, prev: before.chain })
    expect(arbitrateBytes(after, late).verdict).toBe('void')
  })

  it('closes the epoch by a yield; the next claim opens another', () => {
    const before = epochOne(1)
    const yielded = arbitrateBytes(
      before,
      commit({ epoch: 1, sequence: 1, prev: before.chain, kind: Commit_Kind.YIELD }),
    )
    expect(yielded.verdict).toBe('effective')
    expect(yielded.state).toMatchObject({ epoch: 1, open: false, nextSequence: 2 })
    for (const sequence of [0, 1, 2, 7]) {
      const late = commit({ epoch: 1, sequence, prev: yielded.state.chain })
      expect(arbitrateBytes(yielded.state, late).verdict).toBe('void')
    }
    expect(arbitrateBytes(yielded.state, claim(2)).state).toMatchObject({ epoch: 2, open: true })
  })

  it('numbers and chains ticks like any commit', () => {
    const before = epochOne(0)
    const tick = commit({ epoch: 1, sequence: 0, prev: before.chain, kind: Commit_Kind.TICK })
    const result = arbitrateBytes(before, tick)
    expect(result.state).toMatchObject({ nextSequence: 1, open: true })
    expect(result.state.chain).not.toEqual(before.chain)
  })

  it.each([
    ['of an epoch nobody opened', 2, 0],
    ['that skips a sequence', 1, 2],
  ])('calls a commit %s damage', (_what, epoch, sequence) => {
    const state = epochOne(1)
    const result = arbitrateBytes(state, commit({ epoch, sequence, prev: state.chain }))
    expect(result).toMatchObject({ verdict: 'damaged', state })
    expect(result.reason).not.toBe('')
  })

  it('calls a commit with another prev damage', () => {
    const state = epochOne(1)
    const wrong = commit({ epoch: 1, sequence: 1, prev: epochOne(0).chain })
    expect(arbitrateBytes(state, wrong).verdict).toBe('damaged')
  })

  it('skips a copy of a lower sequence whatever its prev', () => {
    const state = epochOne(2)
    const copy = commit({ epoch: 1, sequence: 0, prev: new Uint8Array(32) })
    expect(arbitrateBytes(state, copy).verdict).toBe('void')
  })

  it('calls bytes that are no record damage', () => {
    expect(arbitrateBytes(initialArbitration, Buffer.from('hello')).verdict).toBe('damaged')
    expect(arbitrateBytes(initialArbitration, new Uint8Array(0)).verdict).toBe('damaged')
  })

  it('lets a void of an administrator pass without a link in the chain', () => {
    const state = epochOne(2)
    const result = arbitrateBytes(state, encodeVoid({ position: 1n, recordHash: Buffer.alloc(32) }))
    expect(result.verdict).toBe('effective')
    expect(result.state).toBe(state)
  })

  it('comes back the same from JSON', () => {
    const state = epochOne(2)
    expect(arbitrationFromJson(JSON.parse(JSON.stringify(arbitrationToJson(state))))).toEqual(state)
    const chain = 'ab'
    expect(() => arbitrationFromJson({ ...arbitrationToJson(state), chain })).toThrow('chain')
  })
})
