/**
 * Why a snapshot could not be stored, read or removed in a bucket. The message says where and how
 * to mend it; neither it nor any field holds a credential.
 *
 * `UNREACHABLE` and `TIMED_OUT` may pass by themselves and were tried several times; the others
 * need an operator.
 */
export class SnapshotBucketError extends Error {
  override readonly name = 'SnapshotBucketError'
  readonly code:
    | 'UNREACHABLE'
    | 'TIMED_OUT'
    | 'NO_CREDENTIALS'
    | 'NOT_AUTHORIZED'
    | 'BUCKET_MISSING'
    | 'REFUSED'
  constructor(code: SnapshotBucketError['code'], message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}
