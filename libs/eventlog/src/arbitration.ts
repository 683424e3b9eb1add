/**
 * Arbitration: which records of a partition count. A pure function over log order that every reader
 * applies alike; no clock, no lock, no coordinator. The rules are those of the log protocol; each
 * of them is a test.
 */
import { invariant } from '@serverless-ai/kernel'
import {
  CHAIN_BYTES,
  type Claim,
  type Commit,
  Commit_Kind,
  decodeRecord,
  type Record,
  sameBytes,
  sha256,
} from './record.ts'

/** What a reader keeps per partition. Never changed in place. */
export interface ArbitrationState {
  /** Epoch of the last effective claim; 0 = none yet. */
  readonly epoch: number
  /** False before the first claim and after a yield. */
  readonly open: boolean
  /** Sequence of the next effective commit of the epoch, from 0. */
  readonly nextSequence: number
  /** SHA-256 chain over effective claims and commits, 32 bytes; zeros at the start. */
  readonly chain: Uint8Array
}

/**
 * `effective`: counts. `void`: skip it. `damaged`: this reader's copy of the log is not the log.
 */
export type Verdict = 'effective' | 'void' | 'damaged'

/** Outcome for one record. */
export interface Arbitrated {
  readonly verdict: Verdict
  /** State after the record; the same object unless it was an effective claim or commit. */
  readonly state: ArbitrationState
  /** Why it is void or damaged, for people; empty when effective. */
  readonly reason: string
}

/** State before the first record. */
export const initialArbitration: ArbitrationState = {
  epoch: 0,
  open: false,
  nextSequence: 0,
  chain: new Uint8Array(CHAIN_BYTES),
}

/** Chain hash after an effective record. */
export function nextChain(chain: Uint8Array, recordBytes: Uint8Array): Uint8Array {
  return sha256(chain, recordBytes)
}

const skip = (state: ArbitrationState, reason: string): Arbitrated => ({
  verdict: 'void',
  state,
  reason,
})

const damaged = (state: ArbitrationState, reason: string): Arbitrated => ({
  verdict: 'damaged',
  state,
  reason,
})

function arbitrateClaim(state: ArbitrationState, bytes: Uint8Array, claim: Claim): Arbitrated {
  const epoch = Number(claim.epoch)
  if (epoch <= state.epoch) return skip(state, `claim of epoch ${epoch} at epoch ${state.epoch}`)
  if (epoch > state.epoch + 1) {
    return damaged(state, `claim of epoch ${epoch} while ${state.epoch + 1} has not been read`)
  }
  const chain = nextChain(state.chain, bytes)
  return { verdict: 'effective', state: { epoch, open: true, nextSequence: 0, chain }, reason: '' }
}

function arbitrateCommit(state: ArbitrationState, bytes: Uint8Array, commit: Commit): Arbitrated {
  const epoch = Number(commit.epoch)
  const sequence = Number(commit.sequence)
  if (epoch < state.epoch) return skip(state, `commit of epoch ${epoch} at epoch ${state.epoch}`)
  if (epoch > state.epoch) {
    return damaged(state, `commit of epoch ${epoch} whose claim has not been read`)
  }
  if (!state.open) return skip(state, `commit after the yield of epoch ${epoch}`)
  if (sequence < state.nextSequence) return skip(state, `another copy of sequence ${sequence}`)
  if (sequence > state.nextSequence) {
    return damaged(state, `sequence ${sequence} while ${state.nextSequence} has not been read`)
  }
  if (!sameBytes(commit.prev, state.chain)) {
    return damaged(state, `commit ${epoch}/${sequence} follows another record than the last one`)
  }
  const next: ArbitrationState = {
    epoch,
    open: commit.kind !== Commit_Kind.YIELD,
    nextSequence: sequence + 1,
    chain: nextChain(state.chain, bytes),
  }
  return { verdict: 'effective', state: next, reason: '' }
}

/**
 * Arbitrates the next record of the log. `bytes` are the record as it stands in the log, `record`
 * is what they decode to.
 *
 * A `Void` of an administrator is effective and leaves the state as it is: it is no link of the
 * chain (see {@link VoidList}).
 */
export function arbitrate(state: ArbitrationState, bytes: Uint8Array, record: Record): Arbitrated {
  const body = record.body
  if (body === undefined) return damaged(state, 'neither claim, commit nor void')
  switch (body.$case) {
    case 'claim':
      return arbitrateClaim(state, bytes, body.value)
    case 'commit':
      return arbitrateCommit(state, bytes, body.value)
    case 'void':
      return { verdict: 'effective', state, reason: '' }
  }
}

/** Decodes and arbitrates; bytes that are no record are `damaged`, with `record` undefined. */
export function arbitrateBytes(
  state: ArbitrationState,
  bytes: Uint8Array,
): Arbitrated & { readonly record: Record | undefined } {
  let record: Record
  try {
    record = decodeRecord(bytes)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ...damaged(state, `no record: ${reason}`), record: undefined }
  }
  return { ...arbitrate(state, bytes, record), record }
}

/** Arbitration state as plain JSON, for snapshots. */
export interface ArbitrationJson {
  readonly epoch: number
  readonly open: boolean
  readonly nextSequence: number
  /** Hex, 64 digits. */
  readonly chain: string
}

/** JSON of a state. */
export function arbitrationToJson(state: ArbitrationState): ArbitrationJson {
  const { epoch, open, nextSequence, chain } = state
  return { epoch, open, nextSequence, chain: Buffer.from(chain).toString('hex') }
}

/** State of a JSON. Throws InvariantError when it is none. */
export function arbitrationFromJson(json: ArbitrationJson): ArbitrationState {
  const { epoch, open, nextSequence, chain } = json
  invariant(Number.isSafeInteger(epoch) && epoch >= 0, 'arbitration: epoch is a whole number')
  invariant(typeof open === 'boolean', 'arbitration: open is a boolean')
  invariant(
    Number.isSafeInteger(nextSequence) && nextSequence >= 0,
    'arbitration: nextSequence is a whole number',
  )
  invariant(/^[0-9a-f]{64}$/.test(chain), 'arbitration: chain has 64 hex digits')
  return { epoch, open, nextSequence, chain: new Uint8Array(Buffer.from(chain, 'hex')) }
}
