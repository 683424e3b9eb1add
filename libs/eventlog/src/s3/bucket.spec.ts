import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { memoryObjects } from '../testing/memory-objects.ts'
import { SnapshotBucket } from './bucket.ts'
import { ObjectFailure, type Objects } from './objects.ts'

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const snapshot = { position: 4, schemaVersion: 1, content: seededRandomness(5).bytes(35) }

/** Called before each request with how many came before it; may throw, or never come back. */
type Trouble = (request: keyof Objects, before: number) => Promise<void>

function open(trouble: Trouble) {
  const time = new VirtualTime()
  const stored = new Map<string, Uint8Array>()
  const inner = memoryObjects(stored)
  let before = 0
  const troubled = async <T>(request: keyof Objects, work: () => Promise<T>): Promise<T> => {
    before += 1
    await trouble(request, before - 1)
    return work()
  }
  const objects: Objects = {
    where: 'bucket b',
    put: (key, bytes, signal) => troubled('put', () => inner.put(key, bytes, signal)),
    get: (key, signal) => troubled('get', () => inner.get(key, signal)),
    list: (prefix, more, signal) => troubled('list', () => inner.list(prefix, more, signal)),
    remove: (key, signal) => troubled('remove', () => inner.remove(key, signal)),
  }
  const ports = { clock: time, timers: time, randomness: seededRandomness(1) }
  const store = new SnapshotBucket({ objects, prefix: '', ports, chunkBytes: 10 })
  return { time, store, stored, requests: () => before }
}

const failure = (code: string, status: number): ObjectFailure =>
  new ObjectFailure({ code, status, message: 'what the store says' })

describe('a bucket whose store has trouble', () => {
  it.each([
    ['SlowDown', 503],
    ['InternalError', 500],
    ['TooManyRequests', 429],
    ['ECONNRESET', 0],
    ['RequestTimeout', 400],
  ])('tries again after %s %i', async (code, status) => {
    const { time, store } = open(async (_, before) => {
      if (before % 3 !== 2) throw failure(code, status)
    })
    const info = await time.run(store.put(address, snapshot))
    expect(await time.run(store.list(address))).toEqual([info])
    expect(await time.run(store.get(address, info.name))).toEqual(snapshot.content)
    await time.run(store.remove(address, info.name))
    expect(await time.run(store.list(address))).toEqual([])
  })

  it.each([
    ['AccessDenied', 403, 'NOT_AUTHORIZED'],
    ['SignatureDoesNotMatch', 403, 'NOT_AUTHORIZED'],
    ['ExpiredToken', 400, 'NOT_AUTHORIZED'],
    ['NoSuchBucket', 404, 'BUCKET_MISSING'],
    ['NO_CREDENTIALS', 0, 'NO_CREDENTIALS'],
    ['PermanentRedirect', 301, 'REFUSED'],
  ])('says at once what %s %i means', async (code, status, told) => {
    const { store, requests } = open(async () => {
      throw failure(code, status)
    })
    const listing = store.list(address)
    await expect(listing).rejects.toMatchObject({ name: 'SnapshotBucketError', code: told })
    await expect(listing).rejects.toThrow(/bucket b: listing .*: what the store says; /)
    expect(requests()).toBe(1)
  })

  it('gives up on a store that stays away, after 30 seconds', async () => {
    const { time, store, requests } = open(async () => {
      throw failure('ECONNREFUSED', 0)
    })
    const error = await time.run(store.list(address).catch((reason: unknown) => reason))
    expect(error).toMatchObject({ code: 'UNREACHABLE' })
    expect(String(error)).toMatch(/after \d+ attempts: ECONNREFUSED/)
    expect(requests()).toBeGreaterThan(10)
    expect(time.nowMs).toBeGreaterThan(26_000)
    expect(time.nowMs).toBeLessThanOrEqual(30_000)
  })

  it('waits for no answer longer than 10 seconds, and never longer than 30 in all', async () => {
    const { time, store, requests } = open(() => new Promise(() => undefined))
    const error = await time.run(store.list(address).catch((reason: unknown) => reason))
    expect(error).toMatchObject({ code: 'TIMED_OUT' })
    expect(requests()).toBe(3)
    expect(time.nowMs).toBeLessThanOrEqual(30_000)
    expect(time.pending).toBe(0)
  })

  it('has stored a snapshot even when what is left of others cannot be removed', async () => {
    const { time, store } = open(async (request, before) => {
      if (request === 'list' && before < 8) throw failure('AccessDenied', 403)
    })
    const info = await time.run(store.put(address, snapshot))
    expect(info).toMatchObject({ position: 4 })
  })

  it('begins nothing more when one piece fails', async () => {
    const { store, stored, requests } = open(async () => {
      throw failure('AccessDenied', 403)
    })
    const content = new Uint8Array(1000)
    await expect(store.put(address, { ...snapshot, content })).rejects.toThrow('AccessDenied')
    expect(requests()).toBe(4)
    expect(stored.size).toBe(0)
  })
})
