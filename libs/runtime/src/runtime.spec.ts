import { encodeClaim, logTopic } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { add, bank } from './testing/bank.ts'
import { storyOf } from './testing/history.ts'
import { withLog } from './testing/with-log.ts'
import { failureOf, World } from './testing/world.ts'

describe('time of the log', () => {
  it('never goes back, whatever the wall clock does', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const times: number[] = []
    runtime.onEffective(({ atMs }) => times.push(atMs))
    for (const jumpMs of [0, 3_600_000, -7_200_000, 0]) {
      world.time.jumpWall(jumpMs)
      await world.time.advance(10)
      await world.run(runtime.execute(add('a', 1)))
    }
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(times[3]! - times[2]!).toBeGreaterThanOrEqual(10)
    expect(times[3]! - times[2]!).toBeLessThan(1000)
  })
})

describe('timers of the state', () => {
  it('ring at their time, also after a restart', async () => {
    const world = new World()
    const first = await world.started(bank())
    const dueMs = world.time.wallMs() + 60_000
    await world.run(first.runtime.execute({ type: 'Remind', key: 'soon', dueMs: dueMs - 50_000 }))
    await world.run(first.runtime.execute({ type: 'Remind', key: 'late', dueMs }))
    await world.time.advance(10_100)
    const { value } = await world.run(first.runtime.read((state) => [...state.reminders]))
    expect(value).toEqual(['set soon', 'set late', 'rang soon'])
    first.log.kill()
    const second = await world.started(bank())
    await world.time.advance(30_000)
    const early = await world.run(second.runtime.read((state) => state.reminders.length))
    expect(early.value).toBe(3)
    await world.time.advance(30_000)
    const rang = await world.run(second.runtime.read((state) => state.reminders.at(-1)))
    expect(rang.value).toBe('rang late')
  })

  it('are replaced by their key', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const nowMs = world.time.wallMs()
    await world.run(runtime.execute({ type: 'Remind', key: 'k', dueMs: nowMs + 1000 }))
    await world.run(runtime.execute({ type: 'Remind', key: 'k', dueMs: nowMs + 5000 }))
    await world.time.advance(4000)
    const before = await world.run(runtime.read((state) => [...state.reminders]))
    expect(before.value).toEqual(['set k', 'set k'])
    await world.time.advance(2000)
    const after = await world.run(runtime.read((state) => [...state.reminders]))
    expect(after.value).toEqual(['set k', 'set k', 'rang k'])
  })
})

describe('reads', () => {
  it('wait for a position of the own log', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    let seen: number | undefined
    const reading = runtime
      .read((state) => state.accounts.get('a'), { minPosition: 'bank:0:1:1' })
      .then(({ value }) => {
        seen = value
      })
    await world.time.advance(1000)
    expect(seen).toBeUndefined()
    await world.run(runtime.execute(add('a', 7)))
    await world.run(reading)
    expect(seen).toBe(7)
    const late = failureOf(runtime.read(() => 1, { minPosition: 'bank:0:99:9', timeoutMs: 100 }))
    await world.time.advance(200)
    expect(await late).toBe('DEADLINE_EXCEEDED')
    expect(await failureOf(runtime.read(() => 1, { minPosition: 'nobody:0:1:1' }))).toBe(
      'POSITION_NOT_FOLLOWED',
    )
    expect(await failureOf(runtime.read(() => 1, { minPosition: 'what' }))).toBe('POSITION_INVALID')
  })

  it('see the past at any position, and only what there is', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    for (let i = 0; i < 5; i += 1) {
      await world.run(runtime.execute(add('a', 1)))
      if (i === 2) await world.run(runtime.snapshot())
    }
    const at = async (position: number): Promise<number | undefined> =>
      world.run(runtime.readAt(position, (state) => state.accounts.get('a')))
    expect([await at(0), await at(1), await at(2), await at(3)]).toEqual([undefined, 1, 2, 3])
    expect(await failureOf(world.run(runtime.readAt(99, () => 1)))).toBe('POSITION_OUT_OF_RANGE')
  })
})

describe('listeners', () => {
  it('hear of every effective record once, and know which are history', async () => {
    const world = new World()
    const first = await world.started(bank())
    await world.run(first.runtime.execute(add('a', 1)))
    await world.run(first.runtime.stop())
    const second = world.process(bank())
    const heard: string[] = []
    second.runtime.onEffective(({ position, replaying, events }) => {
      heard.push(`${position} ${replaying} ${events.length}`)
    })
    await world.run(second.runtime.start())
    await world.run(
      Promise.all([
        second.runtime.execute(add('a', 1)),
        second.runtime.execute({ type: 'BoomLater' }),
      ]),
    )
    const tail = heard.slice(-1)
    expect(tail[0]).toMatch(/ false 1$/)
    expect(new Set(heard).size).toBe(heard.length)
  })
})

describe('a graceful stop', () => {
  it('finishes the batch, snapshots and yields; the next start leads at once', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const late = runtime.execute(add('a', 5))
    await world.run(runtime.stop())
    expect(await late).toMatchObject({ ok: true })
    expect(runtime.status().role).toBe('Stopped')
    expect(storyOf(world, bank()).state.arbitration).toMatchObject({ epoch: 1, open: false })
    expect(await failureOf(runtime.execute(add('a', 1)))).toBe('STOPPING')
    const startMs = world.time.nowMs
    const next = await world.started(bank())
    expect(world.time.nowMs - startMs).toBeLessThan(100)
    expect(next.runtime.status()).toMatchObject({ role: 'Leading', epoch: 2, leader: 'r1' })
    expect(next.runtime.status().lastSnapshot).not.toBe('')
    const { value } = await world.run(next.runtime.read((state) => state.accounts.get('a')))
    expect(value).toBe(5)
  })

  it('ends in time when the log does not answer any more', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    log.pause()
    const sent = failureOf(runtime.execute(add('a', 5)))
    await world.time.advance(5)
    const waiting = failureOf(runtime.execute(add('a', 5)))
    const startMs = world.time.nowMs
    await world.run(runtime.stop())
    expect(world.time.nowMs - startMs).toBeLessThanOrEqual(3100)
    // The first one is on its way to the log, the second one never was.
    expect(await Promise.all([sent, waiting])).toEqual(['OUTCOME_UNKNOWN', 'STOPPING'])
  })
})

describe('a claim of somebody else', () => {
  it('ends leading at once: nothing that waits is acknowledged or carried out', async () => {
    const world = new World()
    const first = await world.started(bank(), { replica: 'first' })
    const told: string[] = []
    first.runtime.onLeadership((leading, epoch) => told.push(`${leading} ${epoch}`))
    const sends: Promise<string>[] = []
    const epoch = Buffer.alloc(16, 1)
    const claim = { epoch: 2n, claimId: epoch, replica: 'other', address: 'x:1', atMs: 0n }
    await world.run(
      first.log.append({ topic: logTopic('bank'), partition: 0 }, [
        { key: '', headers: {}, value: encodeClaim(claim) },
      ]),
    )
    sends.push(
      failureOf(first.runtime.confirm({ withinMs: 60_000 })),
      failureOf(first.runtime.execute(add('a', 1))),
      failureOf(first.runtime.execute(add('b', 1))),
    )
    await world.time.advance(10)
    expect(await Promise.all(sends)).toEqual(['NOT_LEADING', 'NOT_LEADING', 'NOT_LEADING'])
    expect(told).toEqual(['false 1'])
    expect(first.runtime.status()).toMatchObject({ role: 'Following', leader: 'other' })
    await world.until(() => first.runtime.status().role === 'Leading', 'claims after silence')
    expect(first.runtime.status().epoch).toBe(3)
    expect((await world.fold(bank())).state.events).toBe(0)
  })
})

describe('a damaged copy of the log', () => {
  it('leaves open what became of the commit in flight, and of nothing else', async () => {
    const world = new World()
    let damage = false
    const { runtime } = await world.started(bank(), {
      wrap: withLog((inner) => ({
        fetch: async (address, want) => {
          const result = await inner.fetch(address, want)
          if (!damage || result.records.length === 0) return result
          damage = false
          const records = result.records.map((one) => ({ ...one, position: one.position + 1 }))
          return { ...result, records }
        },
      })),
    })
    damage = true
    const sent = failureOf(runtime.execute(add('a', 1)))
    await world.until(() => world.logLength() === 2, 'the commit is in the log')
    const waiting = failureOf(runtime.execute(add('b', 1)))
    expect(await world.run(Promise.all([sent, waiting]))).toEqual([
      'OUTCOME_UNKNOWN',
      'NOT_LEADING',
    ])
    await world.until(() => runtime.status().role === 'Leading', 'it leads again')
    const { state } = await world.fold(bank())
    expect([...state.accounts]).toEqual([['a', 1]])
  })
})

describe('a record that cannot be folded', () => {
  it('stops the partition with an alarm and nothing else', async () => {
    const world = new World()
    const first = await world.started(bank())
    await world.run(first.runtime.execute(add('a', 1)))
    first.log.kill()
    const strict = bank()
    const broken = {
      ...strict,
      decider: {
        ...strict.decider,
        evolve: () => {
          throw new Error('cannot follow')
        },
      },
    }
    const second = world.process(broken)
    expect(await failureOf(world.run(second.runtime.start()))).toMatch(/record 1 cannot be folded/)
    expect(second.runtime.status()).toMatchObject({ role: 'Stopped' })
    expect(second.runtime.status().alarm).toMatch(/cannot follow/)
    expect(await failureOf(second.runtime.execute(add('a', 1)))).toBe('PARTITION_STOPPED')
    expect(await failureOf(second.runtime.read(() => 1))).toBe('PARTITION_STOPPED')
  })

  it('stops at a log that ends before its snapshot: never a silent fresh start', async () => {
    const world = new World()
    const first = await world.started(bank())
    await world.run(first.runtime.execute(add('a', 1)))
    await world.run(first.runtime.stop())
    world.store.partition({ topic: logTopic('bank'), partition: 0 }).records = []
    const second = world.process(bank())
    expect(await failureOf(world.run(second.runtime.start()))).toMatch(/records are missing/)
  })
})
