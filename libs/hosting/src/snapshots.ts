import { type SnapshotsConfig, snapshotBucketSettings } from '@serverless-ai/config'
import { noSnapshots, openSnapshotDirectory, type SnapshotStore } from '@serverless-ai/eventlog'
import type { Ports } from '@serverless-ai/kernel'
import { LogStartError } from './event-log.ts'

/**
 * Opens the snapshots of a process: the directory below its data, or the configured bucket, which
 * is asked once; or none.
 * @throws LogStartError, ConfigError
 */
export async function openSnapshots(init: {
  snapshots: SnapshotsConfig
  dataDir: string
  ports: Ports
}): Promise<SnapshotStore> {
  const { snapshots, dataDir, ports } = init
  if (snapshots.kind === 'none') return noSnapshots
  const settings = snapshotBucketSettings(snapshots)
  if (settings === undefined) {
    return openSnapshotDirectory({ directory: `${dataDir}/snapshots`, ports })
  }
  // Only here: the client is 35 MB of memory for a process that needs none.
  const { openSnapshotBucket, SnapshotBucketError } = await import('@serverless-ai/eventlog/s3')
  try {
    return await openSnapshotBucket({ ...settings, ports })
  } catch (error) {
    if (!(error instanceof SnapshotBucketError)) throw error
    throw new LogStartError(`SNAPSHOTS_${error.message}`, { cause: error })
  }
}
