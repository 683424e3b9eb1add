import { eventsTopic } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { add, bank } from './testing/bank.ts'
import { withLog } from './testing/with-log.ts'
import { World } from './testing/world.ts'
import type { PublicEvent } from './types.ts'

const topic = { topic: eventsTopic('bank'), partition: 0 }
const reasonOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error) => error.reason,
  )
/** A log that takes no public events while `silent`: their append never ends. */
const unpublished = (silent: () => boolean) =>
  withLog((inner) => ({
    append: (address, entries) =>
      address.topic === topic.topic && silent()
        ? new Promise(() => {})
        : inner.append(address, entries),
  }))

describe('public events', () => {
  it('are CloudEvents with dense seqs, key and tenant', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    await world.run(runtime.execute({ type: 'AddMany', key: 'a', count: 3 }))
    await world.until(() => world.publishedSeqs().length === 3, 'published')
    const record = world.store.partition(topic).records[1]!
    expect(record.key).toBe('a')
    expect(record.headers).toMatchObject({
      ce_specversion: '1.0',
      ce_id: 'bank/0/2',
      ce_type: 'bank.v1.Added',
      ce_subject: 'a',
      ce_tenant: 't',
    })
    expect(new TextDecoder().decode(record.value)).toBe('1')
  })

  it('are recorded as published after a thousand or ten seconds, never while idle', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    await world.run(runtime.execute({ type: 'AddMany', key: 'a', count: 1500 }))
    await world.time.advance(1000)
    const { length } = world.publishedSeqs()
    expect(length).toBe(1500)
    expect(world.logLength()).toBe(3)
    await world.run(runtime.execute({ type: 'AddMany', key: 'a', count: 5 }))
    await world.time.advance(1000)
    const before = world.logLength()
    expect(before).toBe(4)
    await world.time.advance(11_000)
    expect(world.logLength()).toBe(before + 1)
    await world.time.advance(600_000)
    expect(world.logLength()).toBe(before + 1)
  })

  it('that cannot be published are an alarm, until they are', async () => {
    const world = new World()
    let gone = false
    const wrap = withLog((inner) => ({
      append: (address, entries) =>
        address.topic === topic.topic && gone
          ? Promise.reject(new Error('there is no such topic'))
          : inner.append(address, entries),
    }))
    const { runtime } = await world.started(bank(), { wrap })
    gone = true
    await world.run(runtime.execute(add('a')))
    await world.time.advance(4_000)
    expect(runtime.status().alarm).toBe('')
    await world.time.advance(2_000)
    const { alarm } = runtime.status()
    expect(alarm).toContain('no public event reaches serverlessai.events.bank.v1/0 for 5 s')
    expect(alarm).toContain('there is no such topic')
    gone = false
    await world.time.advance(3_000)
    expect(runtime.status().alarm).toBe('')
    expect(world.publishedSeqs()).toEqual([1])
  })

  it('are published by the next leader from where the log says, none lost', async () => {
    const world = new World()
    const first = await world.started(bank(), {
      wrap: unpublished(() => true),
    })
    await world.run(first.runtime.execute({ type: 'AddMany', key: 'a', count: 700 }))
    first.log.kill()
    expect(world.publishedSeqs()).toEqual([])
    const second = await world.started(bank())
    await world.run(second.runtime.execute(add('b')))
    await world.until(() => second.runtime.status().publishedSeq === 701, 'published')
    expect(world.publishedSeqs()).toEqual(Array.from({ length: 701 }, (_, i) => i + 1))
  })

  it('that are recorded as published are not published again, the others are', async () => {
    const world = new World()
    let silent = false
    const first = await world.started(bank(), {
      wrap: unpublished(() => silent),
    })
    await world.run(first.runtime.execute({ type: 'AddMany', key: 'a', count: 5 }))
    await world.time.advance(11_000)
    silent = true
    await world.run(first.runtime.execute({ type: 'AddMany', key: 'a', count: 3 }))
    await world.time.advance(1000)
    first.log.kill()
    const second = await world.started(bank())
    await world.until(() => second.runtime.status().publishedSeq === 8, 'published')
    expect(world.publishedSeqs()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('wait in snapshots too until they are out', async () => {
    const world = new World()
    let silent = true
    const first = await world.started(bank(), {
      wrap: unpublished(() => silent),
    })
    await world.run(first.runtime.execute({ type: 'AddMany', key: 'a', count: 5 }))
    await world.run(first.runtime.stop())
    silent = false
    const second = await world.started(bank())
    expect(second.runtime.status().lastSnapshot).not.toBe('')
    await world.until(() => world.publishedSeqs().length === 5, 'published')
    expect(world.publishedSeqs()).toEqual([1, 2, 3, 4, 5])
  })
})

describe('the feed', () => {
  it('gives the present state in pages pinned at one position, then the tail', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    for (let i = 0; i < 5; i += 1) await world.run(runtime.execute(add(`k${i}`, i)))
    const page = (pageToken: string) =>
      world.run(runtime.feedSnapshot({ types: [], pageSize: 2, pageToken }))
    const first = await page('')
    await world.run(runtime.execute(add('later')))
    const second = await page(first.nextPageToken)
    const third = await page(second.nextPageToken)
    const events = [first, second, third].flatMap((one) => one.events)
    expect(events.map(({ key, seq }) => `${key} ${seq}`)).toEqual([
      'k0 0',
      'k1 0',
      'k2 0',
      'k3 0',
      'k4 0',
    ])
    expect([first.seq, second.seq, third.seq]).toEqual([5, 5, 5])
    expect(third.nextPageToken).toBe('')
    const abort = new AbortController()
    const got: PublicEvent[] = []
    const watching = (async () => {
      for await (const batch of runtime.watchFeed(third.seq, abort.signal)) {
        got.push(...batch)
        if (got.length > 0) break
      }
    })()
    await world.run(watching)
    expect(got.map(({ key, seq }) => [key, seq])).toEqual([['later', 6]])
  })

  it('filters by type, and forgets a pinned state after five minutes', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    for (const key of ['a', 'b', 'c']) await world.run(runtime.execute(add(key)))
    const none = await world.run(
      runtime.feedSnapshot({ types: ['bank.v1.Other'], pageSize: 2, pageToken: '' }),
    )
    expect(none).toMatchObject({ events: [], seq: 3, nextPageToken: '' })
    const page = await world.run(runtime.feedSnapshot({ types: [], pageSize: 2, pageToken: '' }))
    await world.time.advance(5 * 60_000)
    const request = { types: [], pageSize: 2, pageToken: page.nextPageToken }
    expect(await reasonOf(runtime.feedSnapshot(request))).toBe('SNAPSHOT_EXPIRED')
  })

  it('beats every ten seconds, and says when the past is not kept', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    for (const key of ['a', 'b', 'c']) await world.run(runtime.execute(add(key)))
    await world.time.advance(100)
    const abort = new AbortController()
    const live = runtime.watchFeed(3, abort.signal)[Symbol.asyncIterator]()
    const startMs = world.time.nowMs
    const beat = await world.run(live.next())
    expect(beat.value).toEqual([])
    expect(world.time.nowMs - startMs).toBeLessThanOrEqual(10_000)
    await world.run(log.trim(topic, 2))
    const old = runtime.watchFeed(0, abort.signal)[Symbol.asyncIterator]()
    expect(await reasonOf(world.run(old.next()))).toBe('FEED_GAP')
    const kept = runtime.watchFeed(2, abort.signal)[Symbol.asyncIterator]()
    const batch = await world.run(kept.next())
    expect(batch.value?.map(({ seq }: PublicEvent) => seq)).toEqual([3])
  })

  it('says so, too, when all that a watch has missed is gone and nothing follows', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    for (const key of ['a', 'b', 'c']) await world.run(runtime.execute(add(key)))
    await world.time.advance(100)
    await world.run(log.trim(topic, 3))
    const abort = new AbortController()
    const behind = runtime.watchFeed(1, abort.signal)[Symbol.asyncIterator]()
    expect(await reasonOf(world.run(behind.next()))).toBe('FEED_GAP')
    const present = runtime.watchFeed(3, abort.signal)[Symbol.asyncIterator]()
    expect((await world.run(present.next())).value).toEqual([])
  })

  it('sends what comes before a gap, and then says that there is one', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    for (const key of ['a', 'b', 'c']) await world.run(runtime.execute(add(key)))
    await world.until(() => world.publishedSeqs().length === 3, 'published')
    const after = world.store.partition(topic).records[2]!
    const headers = { ...after.headers, ce_id: 'bank/0/5' }
    await world.run(log.append(topic, [{ ...after, headers }]))
    const abort = new AbortController()
    const watch = runtime.watchFeed(1, abort.signal)[Symbol.asyncIterator]()
    const batch = await world.run(watch.next())
    expect(batch.value?.map(({ seq }: PublicEvent) => seq)).toEqual([2, 3])
    expect(await reasonOf(world.run(watch.next()))).toBe('FEED_GAP')
  })
})
