/** One suite for every store of snapshots. Needs vitest; call it from a spec. */
import { seededRandomness } from '@serverless-ai/kernel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SnapshotStore } from '../port.ts'

/** A store under test, and its files from behind. Paths begin at the store's root. */
export interface SnapshotBench {
  /** Writes files of 10 bytes. */
  readonly store: SnapshotStore
  /** The same files in the eyes of another process, with names of its own. */
  another(): SnapshotStore
  files(): Promise<readonly string[]>
  read(path: string): Promise<Uint8Array>
  write(path: string, bytes: Uint8Array): Promise<void>
  remove(path: string): Promise<void>
  /**
   * From now on the store's process is as good as dead after `writes` more files: everything else
   * that it writes or removes fails. Undefined = it lives.
   */
  failAfter(writes: number | undefined): void
  close(): Promise<void>
}

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const home = `${address.topic}/0`
const content = (length: number, seed = 5): Uint8Array => seededRandomness(seed).bytes(length)
const put = (store: SnapshotStore, position: number, bytes: Uint8Array) =>
  store.put(address, { position, schemaVersion: 1, content: bytes })

function keeping(bench: () => SnapshotBench): void {
  it.each([0, 1, 10, 11, 35, 120])('gives back %i bytes in pieces', async (length) => {
    const { store, files, another } = bench()
    const bytes = content(length)
    const info = await store.put(address, { position: 42, schemaVersion: 3, content: bytes })
    expect(info).toMatchObject({ position: 42, schemaVersion: 3, bytes: length })
    expect(info.name).toMatch(/^42-[0-9a-f]{16}$/)
    for (const each of [store, another()]) {
      expect(await each.list(address)).toEqual([info])
      expect(await each.get(address, info.name)).toEqual(bytes)
    }
    const chunks = (await files()).filter((path) => path.includes('chunk-'))
    expect(chunks).toHaveLength(Math.ceil(length / 10))
  })

  it('lists the newest first and never writes over one', async () => {
    const { store } = bench()
    const [a, b, c] = [
      await put(store, 5, content(20, 1)),
      await put(store, 100, content(20, 2)),
      await put(store, 5, content(20, 3)),
    ]
    expect((await store.list(address)).map((each) => each.position)).toEqual([100, 5, 5])
    expect(a.name).not.toBe(c.name)
    expect(await store.get(address, a.name)).toEqual(content(20, 1))
    expect(await store.get(address, c.name)).toEqual(content(20, 3))
    await store.remove(address, b.name)
    expect((await store.list(address)).map((each) => each.position)).toEqual([5, 5])
    expect(await store.get(address, b.name)).toBeUndefined()
  })

  it('keeps partitions and topics apart, also where one name begins another', async () => {
    const { store } = bench()
    const others = [
      { topic: address.topic, partition: 1 },
      { topic: address.topic, partition: 10 },
      { topic: `${address.topic}0`, partition: 0 },
    ]
    for (const other of others) {
      await store.put(other, { position: 1, schemaVersion: 1, content: content(15) })
    }
    expect(await store.list(address)).toEqual([])
    for (const other of others) expect(await store.list(other)).toHaveLength(1)
  })

  it('is empty where nothing was put', async () => {
    const { store } = bench()
    expect(await store.list(address)).toEqual([])
    expect(await store.get(address, '1-0123456789abcdef')).toBeUndefined()
    expect(await store.get(address, '../../etc')).toBeUndefined()
    await store.remove(address, '1-0123456789abcdef')
    await store.remove(address, '..')
  })

  it('takes puts of two processes at once', async () => {
    const { store, another } = bench()
    const other = another()
    const infos = await Promise.all([
      put(store, 7, content(35, 1)),
      put(other, 7, content(35, 2)),
      put(other, 8, content(35, 3)),
    ])
    const names = (await store.list(address)).map((each) => each.name)
    expect([...names].sort()).toEqual(infos.map((each) => each.name).sort())
    expect(await other.get(address, infos[0].name)).toEqual(content(35, 1))
    expect(await store.get(address, infos[1].name)).toEqual(content(35, 2))
  })

  it('leaves alone what is not named like a snapshot', async () => {
    const { store, write, files } = bench()
    await write(`${home}/notes/readme.txt`, content(3))
    await put(store, 3, content(20))
    expect(await store.list(address)).toHaveLength(1)
    expect(await files()).toContain(`${home}/notes/readme.txt`)
  })
}

function breaking(bench: () => SnapshotBench): void {
  it('leaves out every torn snapshot, whatever write it was interrupted at', async () => {
    const { store, another, failAfter, files } = bench()
    for (let writes = 0; writes < 5; writes += 1) {
      failAfter(writes)
      await expect(put(store, 10 * writes + 1, content(40))).rejects.toThrow()
      failAfter(undefined)
      expect(await store.list(address), `failed at write ${writes}`).toEqual([])
      expect(await another().list(address)).toEqual([])
      const whole = await put(store, 10 * writes + 2, content(4))
      const names = new Set((await files()).map((path) => path.split('/')[2]))
      expect([...names], 'the next one removes what is left').toEqual([whole.name])
      await store.remove(address, whole.name)
    }
    expect(await files()).toEqual([])
  })

  it('shows no whole snapshot while a removal is interrupted', async () => {
    const { store, failAfter, files, read, write } = bench()
    const info = await put(store, 3, content(35))
    failAfter(0)
    await expect(store.remove(address, info.name)).rejects.toThrow()
    failAfter(undefined)
    expect(await store.get(address, info.name)).toEqual(content(35))
    // Interrupted behind the manifest: what is left is torn.
    const path = `${home}/${info.name}/manifest.json`
    const manifest = await read(path)
    await bench().remove(path)
    expect(await store.list(address)).toEqual([])
    expect(await store.get(address, info.name)).toBeUndefined()
    await write(path, manifest)
    expect(await store.list(address)).toEqual([info])
    await store.remove(address, info.name)
    expect(await files()).toEqual([])
  })
}

function damaged(bench: () => SnapshotBench): void {
  it('sees a flipped bit in every file', async () => {
    const { store, files, read, write } = bench()
    const info = await put(store, 7, content(35))
    for (const path of await files()) {
      const good = await read(path)
      const step = Math.max(3, Math.floor(good.byteLength / 12))
      for (let index = 0; index < good.byteLength; index += step) {
        const bad = new Uint8Array(good)
        bad[index] = (bad[index] ?? 0) ^ 1
        await write(path, bad)
        expect(await store.get(address, info.name), `${path} byte ${index}`).toBeUndefined()
      }
      await write(path, good)
    }
    expect(await store.get(address, info.name)).toEqual(content(35))
  })

  it('leaves out a snapshot that lost a piece, or half of one', async () => {
    const { store, read, write, remove } = bench()
    const info = await put(store, 7, content(35))
    const path = `${home}/${info.name}/chunk-001`
    const good = await read(path)
    for (const half of [good.slice(0, 5), undefined]) {
      if (half === undefined) await remove(path)
      else await write(path, half)
      expect(await store.list(address)).toEqual([])
      expect(await store.get(address, info.name)).toBeUndefined()
    }
    await write(path, good)
    expect(await store.list(address)).toEqual([info])
  })

  it('does not put together a snapshot out of the files of another one', async () => {
    const { store, read, write } = bench()
    const [a, b] = [await put(store, 7, content(35, 1)), await put(store, 7, content(35, 2))]
    const manifest = await read(`${home}/${a.name}/manifest.json`)
    await write(`${home}/${b.name}/manifest.json`, manifest)
    expect((await store.list(address)).map((each) => each.name)).toEqual([a.name])
    expect(await store.get(address, b.name)).toBeUndefined()
  })
}

/** Runs the suite on what `open` opens, empty each time. */
export function snapshotStoreContract(name: string, open: () => Promise<SnapshotBench>): void {
  describe(`snapshots: ${name}`, () => {
    let bench: SnapshotBench | undefined
    beforeEach(async () => {
      bench = await open()
    })
    afterEach(async () => {
      await bench?.close()
      bench = undefined
    })
    const current = (): SnapshotBench => {
      if (bench === undefined) throw new Error('no store is open')
      return bench
    }
    keeping(current)
    breaking(current)
    damaged(current)
  })
}
