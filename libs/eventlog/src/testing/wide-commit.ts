import { Commit_Kind, encodeCommit } from '../record.ts'

/** Filler per device, so that 16,384 of them come near the largest commit. */
const PORTS_PER_DEVICE = 37

/**
 * Bytes of a commit that allocates a gang over `devices` devices, written in columns (one array per
 * attribute) as the scheduler does.
 */
export function wideCommit(devices: number): Uint8Array {
  const indexes = Array.from({ length: devices }, (_, index) => index)
  const data = JSON.stringify({
    gangId: 'j-0-wide:0',
    nodeIds: indexes.map((index) => `node-${String(index >>> 3).padStart(6, '0')}`),
    deviceIndexes: indexes.map((index) => index & 7),
    memoryMib: indexes.map(() => 143_771),
    ports: indexes.flatMap((index) =>
      Array.from({ length: PORTS_PER_DEVICE }, (_, port) => 20_000 + ((index * 7 + port) % 40_000)),
    ),
  })
  return encodeCommit({
    commitId: Buffer.alloc(16, 1),
    epoch: 1n,
    sequence: 0n,
    prev: Buffer.alloc(32),
    kind: Commit_Kind.NORMAL,
    atMs: 1_700_000_000_000n,
    inputs: [],
    answers: [],
    events: [{ type: 'GangPlaced', version: 1, data }],
    publics: [],
    runtime: [],
  })
}
