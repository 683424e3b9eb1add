import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { bucketBench } from '../testing/bucket-bench.ts'
import { type FreshBucket, s3Store } from '../testing/s3.ts'
import { snapshotStoreContract } from '../testing/snapshots-contract.ts'
import { openSnapshotBucket } from './index.ts'
import { openS3Objects } from './s3-driver.ts'

const ports = { clock: systemClock, timers: systemTimers, randomness: systemRandomness }
const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const freshBucket = s3Store()

async function byEight(keys: readonly string[], work: (key: string) => Promise<void>) {
  for (let from = 0; from < keys.length; from += 8) {
    await Promise.all(keys.slice(from, from + 8).map(work))
  }
}

function suite(fresh: () => Promise<FreshBucket>): void {
  snapshotStoreContract('S3', async () => {
    const bucket = await fresh()
    const bench = bucketBench(openS3Objects(bucket.target), 'cells/a/', ports)
    const close = async (): Promise<void> => {
      await bench.close()
      await bucket[Symbol.asyncDispose]()
    }
    return { ...bench, close }
  })

  describe('S3', () => {
    it('keeps a snapshot of several objects for the next process, and removes it', async () => {
      await using bucket = await fresh()
      const options = { ...bucket.target, prefix: '', ports }
      const content = seededRandomness(3).bytes(9 * 1024 * 1024 + 17)
      const store = await openSnapshotBucket(options)
      const info = await store.put(address, { position: 12, schemaVersion: 2, content })
      const next = await openSnapshotBucket(options)
      expect(await next.list(address)).toEqual([info])
      expect(Buffer.compare((await next.get(address, info.name)) ?? content, content)).toBe(0)
      await next.remove(address, info.name)
      expect(await store.list(address)).toEqual([])
    })

    it('sees more objects than one answer names', async () => {
      await using bucket = await fresh()
      const objects = openS3Objects(bucket.target)
      const { signal } = new AbortController()
      const keys = Array.from({ length: 1003 }, (_, n) => `many/${String(n).padStart(4, '0')}`)
      await byEight(keys, (key) => objects.put(key, new Uint8Array(1), signal))
      const first = await objects.list('many/', undefined, signal)
      expect(first.objects).toHaveLength(1000)
      const second = await objects.list('many/', first.more, signal)
      expect(second.more).toBeUndefined()
      const seen = [...first.objects, ...second.objects].map(({ key }) => key)
      expect(seen).toEqual(keys)
      await byEight(keys, (key) => objects.remove(key, signal))
    })

    it('is not opened without a bucket', async () => {
      await using bucket = await fresh()
      const opening = openSnapshotBucket({ ...bucket.target, bucket: 'gone', prefix: '', ports })
      await expect(opening).rejects.toMatchObject({ code: 'BUCKET_MISSING' })
    })
  })
}

if (freshBucket !== undefined) suite(freshBucket)
