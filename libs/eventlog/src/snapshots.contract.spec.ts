import { DiskError } from '@serverless-ai/kernel'
import { memoryDisk, seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import { openSnapshotDirectory } from './snapshots.ts'
import { bucketBench } from './testing/bucket-bench.ts'
import { memoryObjects } from './testing/memory-objects.ts'
import { type SnapshotBench, snapshotStoreContract } from './testing/snapshots-contract.ts'

function directoryBench(): SnapshotBench {
  const disk = memoryDisk()
  const directory = '/snapshots'
  const open = (seed: number) => {
    const ports = { disk, randomness: seededRandomness(seed) }
    return openSnapshotDirectory({ directory, ports, chunkBytes: 10 })
  }
  const at = (path: string): string => `${directory}/${path}`
  return {
    store: open(1),
    another: () => open(2),
    files: async () => [...disk.files.keys()].map((path) => path.slice(directory.length + 1)),
    read: (path) => disk.read(at(path)),
    async write(path, bytes) {
      await disk.makeDirectory(at(path.slice(0, path.lastIndexOf('/'))))
      await disk.writeAtomic(at(path), bytes)
    },
    remove: (path) => disk.remove(at(path)),
    failAfter(writes) {
      let left = writes
      disk.setFault((operation, path) => {
        if (left === undefined || !['writeAtomic', 'remove'].includes(operation)) return undefined
        if (operation === 'remove' || left <= 0) {
          throw new DiskError('EIO', path, 'the process is gone')
        }
        left -= 1
        return undefined
      })
    },
    close: async () => undefined,
  }
}

snapshotStoreContract('directory', async () => directoryBench())

const time = () => {
  const virtual = new VirtualTime()
  return { clock: virtual, timers: virtual }
}
snapshotStoreContract('bucket in memory', async () =>
  bucketBench(memoryObjects(new Map(), { pageEntries: 3 }), 'sai/', time()),
)
