import { AppendRefusedError, encodeClaim, logTopic } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { MAILBOX_MAX } from './mailbox.ts'
import { type BankCommand, bank } from './testing/bank.ts'
import { storyOf } from './testing/history.ts'
import { withLog } from './testing/with-log.ts'
import { World } from './testing/world.ts'
import type { Answer } from './types.ts'

const add = (key: string, n: number): BankCommand => ({ type: 'Add', key, n })
const reasonOf = (answer: Answer): string => (answer.ok ? 'accepted' : answer.refusal.reason)
const failure = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'no failure'
  } catch (error) {
    return (error as { reason?: string }).reason ?? String(error)
  }
}

describe('a leading partition', () => {
  it('answers a command after its commit was read back, and a read sees it', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const answer = await world.run(runtime.execute(add('a', 3)))
    expect(answer).toMatchObject({ ok: true, value: { balance: 3 }, position: 'bank:0:1:1' })
    const { value, token } = await world.run(runtime.read((state) => state.accounts.get('a')))
    expect([value, token]).toEqual([3, 'bank:0:1:1'])
  })

  it('commits refusals too', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const before = world.logLength()
    const answer = await world.run(runtime.execute({ type: 'Take', key: 'a', n: 1 }))
    expect(answer).toMatchObject({
      ok: false,
      refusal: { reason: 'NOT_ENOUGH', details: { balance: 0, wanted: 1 } },
    })
    expect(world.logLength()).toBe(before + 1)
  })

  it('puts what arrives together into one commit', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const before = world.logLength()
    const all = Array.from({ length: 64 }, () => runtime.execute(add('a', 1)))
    await world.run(Promise.all(all))
    expect(world.logLength()).toBe(before + 1)
  })

  it('lets the core have one round at the end of each batch', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    await world.run(runtime.execute({ type: 'Interest', on: true }))
    await world.run(Promise.all([runtime.execute(add('a', 1)), runtime.execute(add('b', 1))]))
    const { value } = await world.run(runtime.read((state) => state.paid))
    expect(value).toBe(2)
  })

  it('makes no commit while idle, whatever was done before', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    await world.run(runtime.execute(add('a', 1)))
    await world.time.advance(11_000)
    const settled = world.logLength()
    await world.time.advance(3_600_000)
    expect(world.logLength()).toBe(settled)
    expect(world.time.pending).toBeLessThan(4)
  })

  it('proves its leadership by a tick when there is nothing else', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const before = world.logLength()
    const token = await world.run(runtime.confirm())
    expect(token).toBe(`bank:0:${before}:0`)
  })

  it('lets proofs that can wait go with a commit that is made anyway', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const before = world.logLength()
    const proofs = [runtime.confirm({ withinMs: 200 }), runtime.confirm({ withinMs: 200 })]
    await world.time.advance(199)
    expect(world.logLength()).toBe(before)
    await world.run(runtime.execute(add('a', 1)))
    const token = `bank:0:${before}:1`
    expect([world.logLength(), await Promise.all(proofs)]).toEqual([before + 1, [token, token]])
    await world.time.advance(1_000)
    expect(world.logLength()).toBe(before + 1)
  })

  it('ticks for proofs that have waited long enough', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const before = world.logLength()
    const first = runtime.confirm({ withinMs: 200 })
    await world.time.advance(150)
    const second = runtime.confirm({ withinMs: 200 })
    await world.time.advance(49)
    expect(world.logLength()).toBe(before)
    await world.run(Promise.all([first, second]))
    expect(world.logLength()).toBe(before + 1)
  })

  it('refuses when too much waits, and gives up what nobody waits for', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    log.pause()
    const sent = runtime.execute(add('a', 1))
    await world.time.advance(1)
    const waiting = [
      runtime.execute(add('b', 1), { timeoutMs: 50 }),
      runtime.execute(add('c', 1), { signal: AbortSignal.abort(new Error('gone')) }),
    ]
    for (let i = 1; i < MAILBOX_MAX; i += 1) waiting.push(runtime.execute(add('d', 1)))
    expect(await failure(runtime.execute(add('e', 1)))).toBe('MAILBOX_FULL')
    expect(await failure(waiting[1]!)).toBe('Error: gone')
    const late = failure(waiting[0]!)
    await world.time.advance(60)
    expect(await late).toBe('DEADLINE_EXCEEDED')
    log.resume()
    await world.run(Promise.all([sent, ...waiting.slice(2)]))
    const { value } = await world.run(runtime.read((state) => [...state.accounts.keys()]))
    expect(value).toEqual(['a', 'd'])
  })

  it('tells callers that the disk is full, loses nothing, goes on when it is not', async () => {
    const world = new World()
    let full = false
    const { runtime } = await world.started(bank(), {
      wrap: (environment) => ({
        ...environment,
        eventLog: Object.assign(Object.create(environment.eventLog), {
          append: (...args: Parameters<typeof environment.eventLog.append>) =>
            full
              ? Promise.reject(new AppendRefusedError('DISK_FULL', 'no space left'))
              : environment.eventLog.append(...args),
          fetch: (...args: Parameters<typeof environment.eventLog.fetch>) =>
            environment.eventLog.fetch(...args),
          range: (...args: Parameters<typeof environment.eventLog.range>) =>
            environment.eventLog.range(...args),
        }),
      }),
    })
    full = true
    const request = world.request()
    const first = failure(runtime.execute(add('a', 1), request))
    await world.time.advance(10)
    expect(await first).toBe('DISK_FULL')
    expect(await failure(runtime.execute(add('b', 1)))).toBe('DISK_FULL')
    expect(await failure(runtime.read((state) => state.events))).toBe('DISK_FULL')
    expect(runtime.status().alarm).toContain('no space left')
    expect(runtime.status().blocked).toContain('no space left')
    full = false
    await world.until(() => world.logLength() === 2, 'the commit lands')
    expect(runtime.status()).toMatchObject({ alarm: '', blocked: '' })
    const again = await world.run(runtime.execute(add('a', 1), request))
    expect(again).toMatchObject({ ok: true, value: { balance: 1 }, position: 'bank:0:1:1' })
  })
})

describe('commands that go wrong', () => {
  it('refuses one whose decide throws and keeps it for inspection', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const answers = await world.run(
      Promise.all([runtime.execute({ type: 'Boom' }), runtime.execute(add('a', 1))]),
    )
    expect(answers.map(reasonOf)).toEqual(['INTERNAL', 'accepted'])
    expect(runtime.status().parkedInputs).toBe(1)
  })

  it('refuses one whose evolve throws, leaves no trace of it, carries out the others', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    await world.run(runtime.execute(add('a', 1)))
    const answers = await world.run(
      Promise.all([
        runtime.execute(add('a', 1)),
        runtime.execute({ type: 'BoomLater' }),
        runtime.execute(add('a', 1)),
      ]),
    )
    expect(answers.map(reasonOf)).toEqual(['accepted', 'INTERNAL', 'accepted'])
    const { value } = await world.run(runtime.read((state) => [...state.accounts]))
    expect(value).toEqual([['a', 3]])
    expect(runtime.status()).toMatchObject({ role: 'Leading', epoch: 1, parkedInputs: 1 })
    expect((await world.fold(bank())).digest).toBe((await world.run(runtime.digest())).digest)
  })

  it('refuses one that does not fit into a commit, before anything is changed', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const padding = 'x'.repeat(4 * 1024 * 1024)
    const answer = await world.run(runtime.execute({ type: 'Add', key: 'a', n: 1, padding }))
    expect(reasonOf(answer)).toBe('COMMAND_TOO_LARGE')
    const { value } = await world.run(runtime.read((state) => state.events))
    expect(value).toBe(0)
  })

  it('refuses one whose public events do not fit, carries out the others', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const answers = await world.run(
      Promise.all([
        runtime.execute(add('a', 1)),
        runtime.execute({ type: 'Shout', bytes: 5 * 1024 * 1024 }),
        runtime.execute({ type: 'Shout', bytes: 3 * 1024 * 1024 }),
      ]),
    )
    expect(answers.map(reasonOf)).toEqual(['accepted', 'COMMAND_TOO_LARGE', 'accepted'])
    const { value } = await world.run(runtime.read((state) => state.events))
    expect(value).toBe(2)
  })

  it('spreads what is too much for one commit over several', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const padding = 'x'.repeat(3 * 1024 * 1024)
    const before = world.logLength()
    const all = [1, 2, 3].map((n) => runtime.execute({ type: 'Add', key: 'a', n, padding }))
    const answers = await world.run(Promise.all(all))
    expect(answers.map(reasonOf)).toEqual(['accepted', 'accepted', 'accepted'])
    expect(world.logLength()).toBe(before + 3)
  })
})

describe('requests', () => {
  it('gives the first answer again: in flight, later, and after a restart', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const request = world.request()
    const [first, second] = await world.run(
      Promise.all([
        runtime.execute(add('a', 1), request),
        runtime.execute(add('a', 1), { ...request }),
      ]),
    )
    expect(second).toEqual(first)
    expect(await world.run(runtime.execute(add('a', 1), request))).toEqual(first)
    await world.run(runtime.stop())
    const next = await world.started(bank())
    expect(await world.run(next.runtime.execute(add('a', 1), request))).toEqual(first)
    const { value } = await world.run(next.runtime.read((state) => state.accounts.get('a')))
    expect(value).toBe(1)
  })

  it('waits for the commit in flight that holds the first answer', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    const request = world.request()
    log.pause()
    const first = runtime.execute(add('a', 1), request)
    await world.time.advance(5)
    let answered = false
    const second = runtime.execute(add('a', 1), request).then((answer) => {
      answered = true
      return answer
    })
    await world.time.advance(1000)
    expect(answered).toBe(false)
    log.resume()
    const [one, two] = await world.run(Promise.all([first, second]))
    expect(two).toEqual(one)
  })

  it('refuses the same id with another body, foreign, too old and future ids', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const request = world.request()
    await world.run(runtime.execute(add('a', 1), request))
    const bodyHash = new TextEncoder().encode('b')
    const ask = async (requestId: string): Promise<string> =>
      reasonOf(await world.run(runtime.execute(add('a', 1), { requestId, bodyHash })))
    expect(await ask(request.requestId)).toBe('REQUEST_ID_REUSED')
    expect(await ask('7c9e6679-7425-40de-944b-e07fc1f90ae7')).toBe('REQUEST_ID_INVALID')
    world.time.jumpWall(6 * 60_000)
    const future = world.request().requestId
    world.time.jumpWall(-6 * 60_000)
    expect(await ask(future)).toBe('REQUEST_FROM_FUTURE')
    await world.time.advance(24 * 3_600_000 + 2000)
    expect(await ask(request.requestId)).toBe('REQUEST_TOO_OLD')
  })
})

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
    const late = failure(runtime.read(() => 1, { minPosition: 'bank:0:99:9', timeoutMs: 100 }))
    await world.time.advance(200)
    expect(await late).toBe('DEADLINE_EXCEEDED')
    expect(await failure(runtime.read(() => 1, { minPosition: 'nobody:0:1:1' }))).toBe(
      'POSITION_NOT_FOLLOWED',
    )
    expect(await failure(runtime.read(() => 1, { minPosition: 'what' }))).toBe('POSITION_INVALID')
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
    expect(await failure(world.run(runtime.readAt(99, () => 1)))).toBe('POSITION_OUT_OF_RANGE')
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
    expect(await failure(runtime.execute(add('a', 1)))).toBe('STOPPING')
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
    const sent = failure(runtime.execute(add('a', 5)))
    await world.time.advance(5)
    const waiting = failure(runtime.execute(add('a', 5)))
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
      failure(first.runtime.confirm({ withinMs: 60_000 })),
      failure(first.runtime.execute(add('a', 1))),
      failure(first.runtime.execute(add('b', 1))),
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
    const sent = failure(runtime.execute(add('a', 1)))
    await world.until(() => world.logLength() === 2, 'the commit is in the log')
    const waiting = failure(runtime.execute(add('b', 1)))
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
    expect(await failure(world.run(second.runtime.start()))).toMatch(/record 1 cannot be folded/)
    expect(second.runtime.status()).toMatchObject({ role: 'Stopped' })
    expect(second.runtime.status().alarm).toMatch(/cannot follow/)
    expect(await failure(second.runtime.execute(add('a', 1)))).toBe('PARTITION_STOPPED')
    expect(await failure(second.runtime.read(() => 1))).toBe('PARTITION_STOPPED')
  })

  it('stops at a log that ends before its snapshot: never a silent fresh start', async () => {
    const world = new World()
    const first = await world.started(bank())
    await world.run(first.runtime.execute(add('a', 1)))
    await world.run(first.runtime.stop())
    world.store.partition({ topic: logTopic('bank'), partition: 0 }).records = []
    const second = world.process(bank())
    expect(await failure(world.run(second.runtime.start()))).toMatch(/records are missing/)
  })
})
