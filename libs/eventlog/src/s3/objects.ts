/** What a bucket of snapshots needs of an object store. */

/** Whole objects by key. Every failure is an {@link ObjectFailure}, unless `signal` is aborted. */
export interface Objects {
  /** The bucket and where it is, for people. */
  readonly where: string
  /** All of the object or nothing: a reader never sees a part. Replaces what is there. */
  put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Undefined when there is none. */
  get(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** Up to 1,000 keys with this prefix and their sizes, bytes; `more` goes on behind them. */
  list(
    prefix: string,
    more: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly objects: readonly ObjectEntry[]; readonly more?: string }>
  /** A missing one is no error. */
  remove(key: string, signal: AbortSignal): Promise<void>
}

/** An object. */
export interface ObjectEntry {
  readonly key: string
  readonly bytes: number
}

/** A request that failed, in the words of the store. Carries no credential. */
export class ObjectFailure extends Error {
  override readonly name = 'ObjectFailure'
  /** The store's code (`AccessDenied`, `NoSuchBucket`, `SlowDown`, …) or that of the network. */
  readonly code: string
  /** HTTP status; 0 = no answer. */
  readonly status: number
  constructor(init: { code: string; status: number; message: string }) {
    super(init.message)
    this.code = init.code
    this.status = init.status
  }
}
