import { AppendRefusedError } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { MAILBOX_MAX } from './mailbox.ts'
import { add, bank } from './testing/bank.ts'
import { failureOf, World } from './testing/world.ts'
import type { Answer } from './types.ts'

const reasonOf = (answer: Answer): string => (answer.ok ? 'accepted' : answer.refusal.reason)

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
    expect(await failureOf(runtime.execute(add('e', 1)))).toBe('MAILBOX_FULL')
    expect(await failureOf(waiting[1]!)).toBe('Error: gone')
    const late = failureOf(waiting[0]!)
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
    const first = failureOf(runtime.execute(add('a', 1), request))
    await world.time.advance(10)
    expect(await first).toBe('DISK_FULL')
    expect(await failureOf(runtime.execute(add('b', 1)))).toBe('DISK_FULL')
    expect(await failureOf(runtime.read((state) => state.events))).toBe('DISK_FULL')
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
