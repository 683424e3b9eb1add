import { eventsTopic } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { LINGER_MS } from './leader.ts'
import { PUBLISH_LINGER_MS } from './publisher.ts'
import { add, bank } from './testing/bank.ts'
import { type Bank, type Process, World } from './testing/world.ts'

const source = bank({ name: 'source' })
const sink = bank({ name: 'sink', other: 'source' })
/** What is committed is on the public topic, and read, after this time. */
const PUBLISHED_MS = PUBLISH_LINGER_MS + 1
const topic = { topic: eventsTopic('source'), partition: 0 }

/** Keys that the sink has seen, with their seqs. */
async function seen(world: World, runtime: Bank): Promise<[string, number][]> {
  return (await world.run(runtime.read((state) => [...state.seen]))).value
}

async function pair(seed = 1): Promise<{ world: World; from: Process; to: Process }> {
  const world = new World(seed)
  const from = await world.started(source)
  const to = await world.started(sink)
  return { world, from, to }
}

/** Adds a key at the source and waits until the sink has folded it. */
async function follow(world: World, from: Bank, to: Bank, ...keys: string[]): Promise<void> {
  for (const key of keys) {
    const { position } = await world.run(from.execute(add(key)))
    await world.run(to.read(() => undefined, { minPosition: position }))
  }
}

describe('inputs', () => {
  it('arrive once each, in order, and a read at the consumer can wait for them', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'b', 'c')
    expect(await seen(world, to.runtime)).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ])
  })

  it('that lead to nothing are marked now and then, or when a read waits for them', async () => {
    const { world, from, to } = await pair()
    await world.run(from.runtime.execute(add('dull')))
    await world.time.advance(1000)
    const before = world.logLength('sink')
    await world.time.advance(10_000)
    expect(world.logLength('sink')).toBe(before + 1)
    await world.time.advance(600_000)
    expect(world.logLength('sink')).toBe(before + 1)
    const startMs = world.time.nowMs
    await follow(world, from.runtime, to.runtime, 'dull')
    expect(world.time.nowMs - startMs).toBeLessThan(1000)
  })

  it('wait a moment for each other, and go with any commit that is made anyway', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a')
    const before = world.logLength('sink')
    for (const key of ['b', 'c']) {
      await world.run(from.runtime.execute(add(key)))
      await world.time.advance(1)
    }
    expect(world.logLength('sink')).toBe(before)
    await world.time.advance(PUBLISHED_MS + LINGER_MS)
    expect(world.logLength('sink')).toBe(before + 1)
    await world.run(from.runtime.execute(add('d')))
    await world.time.advance(PUBLISHED_MS)
    const startMs = world.time.nowMs
    await world.run(to.runtime.execute(add('own')))
    expect(world.time.nowMs - startMs).toBeLessThan(LINGER_MS - 1)
    expect(world.logLength('sink')).toBe(before + 2)
    expect((await seen(world, to.runtime)).map(([key]) => key)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('go on from the mark after a restart: nothing twice, nothing missed', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'b')
    to.log.kill()
    await world.run(from.runtime.execute(add('c')))
    const next = await world.started(sink)
    await follow(world, from.runtime, next.runtime, 'd')
    const { state } = await world.fold(sink)
    expect([...state.seen.keys()]).toEqual(['a', 'b', 'c', 'd'])
    expect(state.events).toBe(4)
  })

  it('without a decision move the mark by just themselves', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'dull')
    to.log.kill()
    await world.run(from.runtime.execute(add('b')))
    const next = await world.started(sink)
    await follow(world, from.runtime, next.runtime, 'c')
    expect(await seen(world, next.runtime)).toEqual([
      ['a', 1],
      ['b', 3],
      ['c', 4],
    ])
    expect(world.ports.logger.lines.filter(({ message }) => /taken over/.test(message))).toEqual([])
  })

  it('that are published twice are taken once', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'b')
    const { records } = world.store.partition(topic)
    const copies = records.slice(0, 2).map(({ key, headers, value }) => ({ key, headers, value }))
    await world.run(from.log.append(topic, copies))
    await follow(world, from.runtime, to.runtime, 'c')
    const { state } = await world.fold(sink)
    expect([...state.seen]).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ])
    expect(state.events).toBe(3)
  })

  it('that cannot be decoded, decided or evolved are parked; the rest goes on', async () => {
    const { world, from, to } = await pair()
    const keys = ['undecodable', 'undecidable', 'unevolvable', 'good']
    await follow(world, from.runtime, to.runtime, ...keys)
    expect(await seen(world, to.runtime)).toEqual([['good', 4]])
    expect(to.runtime.status()).toMatchObject({ role: 'Leading', parkedInputs: 3, alarm: '' })
  })
})

describe('a gap', () => {
  it('in the topic is mended by the present state of the source', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'b')
    to.log.kill()
    for (const key of ['c', 'd', 'e']) await world.run(from.runtime.execute(add(key)))
    await world.time.advance(100)
    const partition = world.store.partition(topic)
    // The record of seq 4 is lost; the positions stay dense.
    partition.records = partition.records.map((record, index) =>
      index === 3 ? { ...partition.records[0]!, position: 3 } : record,
    )
    const next = await world.started(sink)
    await follow(world, from.runtime, next.runtime, 'f')
    expect(world.ports.logger.lines.some(({ message }) => /taken over/.test(message))).toBe(true)
    const keys = (await seen(world, next.runtime)).map(([key]) => key)
    expect(keys).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  it('because the topic was emptied, or trimmed above the mark, is seen and mended', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a', 'b')
    to.log.kill()
    for (const key of ['c', 'd', 'e']) await world.run(from.runtime.execute(add(key)))
    await world.time.advance(100)
    await world.run(from.log.trim(topic, 5))
    expect(world.publishedSeqs('source')).toEqual([])
    const next = await world.started(sink)
    await world.until(
      () => world.ports.logger.lines.some(({ message }) => /taken over/.test(message)),
      'gap',
    )
    await follow(world, from.runtime, next.runtime, 'f')
    const keys = (await seen(world, next.runtime)).map(([key]) => key)
    expect(keys).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  it('of a consumer that starts long after the topic was trimmed', async () => {
    const world = new World()
    const from = await world.started(source)
    for (const key of ['a', 'b', 'c']) await world.run(from.runtime.execute(add(key)))
    await world.time.advance(100)
    await world.run(from.log.trim(topic, 2))
    const to = await world.started(sink)
    await follow(world, from.runtime, to.runtime, 'd')
    expect((await seen(world, to.runtime)).map(([key]) => key)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('is mended in pages; a crash between them starts over', async () => {
    const world = new World()
    const from = await world.started(source)
    const all = Array.from({ length: 1700 }, (_, i) => from.runtime.execute(add(`k${i}`)))
    await world.run(Promise.all(all))
    await world.until(() => world.publishedSeqs('source').length === 1700, 'published')
    await world.run(from.log.trim(topic, 1700))
    let pages = 0
    const wrapped = { name: 'sink', other: 'source' }
    const first = world.process(bank(wrapped), {
      wrap: (environment) => ({
        ...environment,
        feed: (service, request) => {
          pages += 1
          return pages === 3 ? new Promise(() => {}) : environment.feed(service, request)
        },
      }),
    })
    await world.run(first.runtime.start())
    await world.until(() => pages === 3, 'two pages')
    await world.time.advance(10)
    first.log.kill()
    const half = await world.fold(sink)
    expect(half.state.seen.size).toBe(0)
    const second = await world.started(sink)
    await follow(world, from.runtime, second.runtime, 'after')
    const keys = (await seen(world, second.runtime)).map(([key]) => key)
    expect(keys.length).toBe(1701)
    expect(keys.slice(-2)).toEqual(['k1699', 'after'])
    const folded = await world.fold(sink)
    expect(folded.digest).toBe((await world.run(second.runtime.digest())).digest)
  })

  it('that only the last record shows is mended once the source can help', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a')
    to.log.kill()
    for (const key of ['b', 'c']) await world.run(from.runtime.execute(add(key)))
    await world.time.advance(100)
    const partition = world.store.partition(topic)
    // The record of seq 2 is lost; no later one than that of seq 3 will come.
    partition.records = partition.records.map((record, index) =>
      index === 1 ? { ...partition.records[0]!, position: 1 } : record,
    )
    world.served.delete('source')
    const next = await world.started(sink)
    await world.time.advance(60_000)
    world.served.set('source', from.runtime)
    await world.time.advance(60_000)
    expect((await seen(world, next.runtime)).map(([key]) => key)).toEqual(['a', 'b', 'c'])
  })

  it('does not make a consumer load in a loop while its source cannot help', async () => {
    const { world, from, to } = await pair()
    await follow(world, from.runtime, to.runtime, 'a')
    to.log.kill()
    await world.run(from.runtime.execute(add('b')))
    await world.time.advance(100)
    await world.run(from.log.trim(topic, 2))
    world.served.delete('source')
    let asked = 0
    const next = world.process(sink, {
      wrap: (environment) => ({
        ...environment,
        feed: (service, request) => {
          asked += 1
          return environment.feed(service, request)
        },
      }),
    })
    await world.run(next.runtime.start())
    await world.time.advance(120_000)
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(60)
    world.served.set('source', from.runtime)
    await world.time.advance(40_000)
    await follow(world, from.runtime, next.runtime, 'c')
    expect((await seen(world, next.runtime)).map(([key]) => key)).toEqual(['a', 'b', 'c'])
  })
})
