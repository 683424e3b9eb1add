import { createHash } from 'node:crypto'
import {
  type Claim,
  type Commit,
  Commit_Kind,
  Record,
  type Void,
} from '@serverless-ai/contracts/log/v1/record'

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
  return Record.encode(record).finish()
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
  let record: Record
  try {
    record = Record.decode(bytes)
  } catch (error) {
    throw new RecordDecodeError(error instanceof Error ? error.message : String(error))
  }
  if (record.body === undefined) throw new RecordDecodeError('neither claim, commit nor void')
  return record
}

/** SHA-256 of the pieces one after the other. */
export function sha256(...pieces: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return new Uint8Array(hash.digest())
}

/** True when both hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false
  for (let i = 0; i < a.byteLength; i += 1) if (a[i] !== b[i]) return false
  return true
}
