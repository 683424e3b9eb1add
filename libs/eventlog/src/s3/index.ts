/** Snapshots in an S3-compatible object store. */
import type { SnapshotStore } from '../port.ts'
import { attempt } from './attempts.ts'
import { type BucketOptions, SnapshotBucket } from './bucket.ts'
import { openS3Objects, type S3Target } from './s3-driver.ts'

export { SnapshotBucketError } from './errors.ts'

/** How to open a bucket of snapshots. */
export interface SnapshotBucketOptions extends Omit<S3Target, 'connectTimeoutMs'> {
  /** Stands before every key, so that platforms can share a bucket; empty, or ends with `/`. */
  readonly prefix: string
  readonly ports: BucketOptions['ports']
  /** Bytes per object. Default 4 MiB. */
  readonly chunkBytes?: number
  /** A connection must be there within this, ms. Default 2,000. */
  readonly connectTimeoutMs?: number
  /** For one attempt of one object, ms. Default 10,000. */
  readonly requestTimeoutMs?: number
  /** For all attempts of one object, ms. Default 30,000. */
  readonly totalTimeoutMs?: number
}

/**
 * Opens a bucket of snapshots. Asks it once, so that a wrong name, key or right is heard of at the
 * start and not with the first snapshot. The bucket itself is never made.
 * @throws SnapshotBucketError
 */
export async function openSnapshotBucket(options: SnapshotBucketOptions): Promise<SnapshotStore> {
  const { connectTimeoutMs = 2000, requestTimeoutMs = 10_000, totalTimeoutMs = 30_000 } = options
  const { ports, prefix } = options
  const objects = openS3Objects({ ...options, connectTimeoutMs })
  const patience = { ports, requestTimeoutMs, totalTimeoutMs: Math.min(totalTimeoutMs, 10_000) }
  await attempt(patience, `${objects.where}: listing ${prefix}`, (signal) =>
    objects.list(prefix, undefined, signal),
  )
  return new SnapshotBucket({ ...options, objects, requestTimeoutMs, totalTimeoutMs })
}
