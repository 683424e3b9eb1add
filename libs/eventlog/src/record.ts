import { createHash, hash } from 'node:crypto'
import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  type Claim,
  type Commit,
  Commit_Kind,
  Record,
  type Void,
} from '@serverless-ai/contracts/log/v1/record'
import { decodeCommit } from './decode-commit.ts'

/** A commit may not be larger than this, bytes; checked before the append. */
export const COMMIT_MAX_BYTES = 4 * 1024 * 1024
/** Bytes of a chain hash. */
export const CHAIN_BYTES = 32

export type { Claim, Commit, Record, Void }
export { Commit_Kind }

/** The bytes of a log value are no record. */
export class RecordDecodeError extends Error {
  override readonly name = 'RecordDecodeError'
}

/** Bytes of a record. The same record always gives the same bytes. */
export function encodeRecord(record: Record): Uint8Array {
  return encodeMessage(Record, record)
}

/** Bytes of a claim. */
export function encodeClaim(claim: Claim): Uint8Array {
  return encodeRecord({ body: { $case: 'claim', value: claim } })
}

/** Bytes of a commit. */
export function encodeCommit(commit: Commit): Uint8Array {
  return encodeRecord({ body: { $case: 'commit', value: commit } })
}

/** Bytes of a void. */
export function encodeVoid(value: Void): Uint8Array {
  return encodeRecord({ body: { $case: 'void', value } })
}

/** Record of the bytes. Throws {@link RecordDecodeError}. */
export function decodeRecord(bytes: Uint8Array): Record {
  const commit = decodeCommit(bytes)
  if (commit !== undefined) return commit
  let record: Record
  try {
    record = Record.decode(bytes)
  } catch (error) {
    throw new RecordDecodeError(error instanceof Error ? error.message : String(error))
  }
  if (record.body === undefined) throw new RecordDecodeError('neither claim, commit nor void')
  return record
}

/**
 * Up to here the pieces are joined for one call of the hash, which is faster than a hash object;
 * above, copying costs more.
 */
const ONE_CALL_MAX_BYTES = 64 * 1024

/** Where they are joined; holds nothing between two calls. */
const joined = Buffer.allocUnsafeSlow(ONE_CALL_MAX_BYTES)

/** SHA-256 of the pieces one after the other. */
export function sha256(...pieces: readonly Uint8Array[]): Uint8Array {
  let total = 0
  for (const piece of pieces) total += piece.byteLength
  if (total <= ONE_CALL_MAX_BYTES) {
    let at = 0
    for (const piece of pieces) {
      joined.set(piece, at)
      at += piece.byteLength
    }
    // By way of a text: memory of its own for 32 bytes costs a third of the hash of a small record.
    const text = hash('sha256', joined.subarray(0, total), 'binary')
    const { buffer, byteOffset, byteLength } = Buffer.from(text, 'binary')
    return new Uint8Array(buffer, byteOffset, byteLength)
  }
  const large = createHash('sha256')
  for (const piece of pieces) large.update(piece)
  return new Uint8Array(large.digest())
}

/** True when both hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false
  for (let i = 0; i < a.byteLength; i += 1) if (a[i] !== b[i]) return false
  return true
}
