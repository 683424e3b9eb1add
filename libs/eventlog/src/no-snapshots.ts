import type { SnapshotStore } from './port.ts'

/**
 * Keeps nothing: each start folds its whole log, and no log is ever cut. For tests of upgrades and
 * of folding, and for logs that are short.
 */
export const noSnapshots: SnapshotStore = {
  keeps: false,
  put: () => Promise.reject(new Error('no snapshots are kept: snapshots.kind is none')),
  list: async () => [],
  get: async () => undefined,
  remove: async () => undefined,
}
