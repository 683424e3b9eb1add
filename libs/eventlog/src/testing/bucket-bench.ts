import type { Ports, Randomness } from '@serverless-ai/kernel'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import { SnapshotBucket } from '../s3/bucket.ts'
import type { Objects } from '../s3/objects.ts'
import { mortalObjects } from './memory-objects.ts'
import type { SnapshotBench } from './snapshots-contract.ts'

/** A bucket under the contract suite: a store on `inner`, and `inner` itself as the way behind. */
export function bucketBench(
  inner: Objects,
  prefix: string,
  ports: Pick<Ports, 'clock' | 'timers'>,
): SnapshotBench {
  const mortal = mortalObjects(inner)
  const { signal } = new AbortController()
  const open = (objects: Objects, randomness: Randomness): SnapshotBucket =>
    new SnapshotBucket({ objects, prefix, ports: { ...ports, randomness }, chunkBytes: 10 })
  const files = async (): Promise<readonly string[]> => {
    const keys: string[] = []
    let more: string | undefined
    do {
      const page = await inner.list(prefix, more, signal)
      keys.push(...page.objects.map(({ key }) => key.slice(prefix.length)))
      more = page.more
    } while (more !== undefined)
    return keys
  }
  const remove = (path: string): Promise<void> => inner.remove(`${prefix}${path}`, signal)
  return {
    store: open(mortal.objects, seededRandomness(1)),
    another: () => open(inner, seededRandomness(2)),
    files,
    remove,
    failAfter: mortal.failAfter,
    async read(path) {
      const bytes = await inner.get(`${prefix}${path}`, signal)
      if (bytes === undefined) throw new Error(`there is no ${path}`)
      return bytes
    },
    write: (path, bytes) => inner.put(`${prefix}${path}`, bytes, signal),
    async close() {
      for (const path of await files()) await remove(path)
    },
  }
}
