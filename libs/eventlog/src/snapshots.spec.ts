import { DiskError } from '@serverless-ai/kernel'
import { memoryDisk, seededRandomness } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { openSnapshotDirectory } from './snapshots.ts'

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const home = '/data/snapshots/serverlessai.log.test.v1/0'

function open(seed = 1, chunkBytes = 10) {
  const disk = memoryDisk()
  const ports = { disk, randomness: seededRandomness(seed) }
  const store = openSnapshotDirectory({ directory: '/data/snapshots', ports, chunkBytes })
  return { disk, store }
}

const content = (length: number, seed = 5): Uint8Array => seededRandomness(seed).bytes(length)

describe('snapshot directory', () => {
  it.each([0, 1, 10, 11, 35])('gives back %i bytes in chunks', async (length) => {
    const { disk, store } = open()
    const bytes = content(length)
    const info = await store.put(address, { position: 42, schemaVersion: 3, content: bytes })
    expect(info).toMatchObject({ position: 42, schemaVersion: 3, bytes: length })
    expect(info.name).toMatch(/^42-[0-9a-f]{16}$/)
    expect(await store.list(address)).toEqual([info])
    expect(await store.get(address, info.name)).toEqual(bytes)
    const files = [...disk.files.keys()].filter((path) => path.includes('chunk-'))
    expect(files).toHaveLength(Math.ceil(length / 10))
  })

  it('lists the newest first and never writes over one', async () => {
    const { store } = open()
    const put = (position: number, seed: number) =>
      store.put(address, { position, schemaVersion: 1, content: content(20, seed) })
    const [a, b, c] = [await put(5, 1), await put(100, 2), await put(5, 3)]
    expect((await store.list(address)).map((each) => each.position)).toEqual([100, 5, 5])
    expect(a.name).not.toBe(c.name)
    expect(await store.get(address, a.name)).toEqual(content(20, 1))
    expect(await store.get(address, c.name)).toEqual(content(20, 3))
    await store.remove(address, b.name)
    expect((await store.list(address)).map((each) => each.position)).toEqual([5, 5])
  })

  it('is empty where nothing was put', async () => {
    const { store } = open()
    expect(await store.list(address)).toEqual([])
    expect(await store.get(address, '1-0123456789abcdef')).toBeUndefined()
    expect(await store.get(address, '../../etc')).toBeUndefined()
    await store.remove(address, '1-0123456789abcdef')
  })

  it('leaves out every torn snapshot, whatever write it was interrupted at', async () => {
    for (let failAt = 0; failAt < 5; failAt += 1) {
      const { disk, store } = open()
      let writes = 0
      disk.setFault((operation, path) => {
        if (operation === 'remove') throw new DiskError('EIO', path, 'the process is gone')
        if (operation !== 'writeAtomic') return undefined
        if (writes === failAt) throw new DiskError('ENOSPC', path, 'no space left')
        writes += 1
        return undefined
      })
      const put = store.put(address, { position: 1, schemaVersion: 1, content: content(40) })
      await expect(put).rejects.toMatchObject({ code: 'ENOSPC' })
      disk.setFault(undefined)
      expect(await store.list(address), `failed at write ${failAt}`).toEqual([])
      await store.put(address, { position: 2, schemaVersion: 1, content: content(4) })
      const left = (await disk.list(home)).map((each) => each.name)
      expect(left, 'the torn one is removed by the next').toHaveLength(1)
    }
  })

  it('sees a flipped bit in every file', async () => {
    const { disk, store } = open()
    const info = await store.put(address, { position: 7, schemaVersion: 1, content: content(35) })
    for (const [path, bytes] of disk.files) {
      for (let index = 0; index < bytes.byteLength; index += 3) {
        disk.damage(path, index)
        expect(await store.get(address, info.name), `${path} byte ${index}`).toBeUndefined()
        disk.damage(path, index)
      }
    }
    expect(await store.get(address, info.name)).toEqual(content(35))
  })

  it('leaves out a snapshot that lost a chunk', async () => {
    const { disk, store } = open()
    const info = await store.put(address, { position: 7, schemaVersion: 1, content: content(35) })
    await disk.remove(`${home}/${info.name}/chunk-001`)
    expect(await store.list(address)).toEqual([])
    expect(await store.get(address, info.name)).toBeUndefined()
  })
})
