import { type ClientOf, RpcError } from '@serverless-ai/kernel'
import { describe, expect, it } from 'vitest'
import { createWorld } from './index.ts'
import { Echo, type EchoServer, startEcho, type Text } from './testing/echo.ts'
import type { ProcessContext, SimProcess, World, WorldOptions } from './types.ts'

interface Stage {
  readonly world: World
  readonly server: EchoServer
  readonly caller: SimProcess
  /** What became of calls and streams: `<ms>: <what>`. */
  readonly heard: string[]
  say(text: string, timeoutMs?: number): void
  /** A stream that sends `text` each 100 ms. */
  chat(text: string): void
  until(ms: number): Promise<void>
}

async function stage(options: Partial<WorldOptions> = {}): Promise<Stage> {
  const world = createWorld({ seed: 3, link: { delayMs: [1, 1] }, ...options })
  const server = startEcho(world, 'server')
  const heard: string[] = []
  let context: ProcessContext | undefined
  const caller = world.machine('caller-machine').process('caller', (its) => {
    context = its
    return { stop: async () => undefined }
  })
  caller.start()
  await world.time.runUntil(0)
  const hear = (what: string): void => void heard.push(`${Math.round(world.time.nowMs)}: ${what}`)
  const fail = (error: unknown): void => hear(error instanceof RpcError ? error.code : 'broken')
  const client = (): ClientOf<typeof Echo> =>
    context!.transport.client(Echo, { address: 'server:7070' })
  async function* each100Ms(text: string): AsyncGenerator<Text> {
    for (;;) {
      yield { text }
      await context!.ports.timers.sleep(100)
    }
  }
  const listen = async (text: string): Promise<void> => {
    for await (const answer of client().chat(each100Ms(text))) hear(answer.text)
  }
  return {
    world,
    server,
    caller,
    heard,
    say: (text, timeoutMs) => {
      const options = timeoutMs === undefined ? {} : { timeoutMs }
      client()
        .say({ text }, options)
        .then((answer) => hear(answer.text), fail)
    },
    chat: (text) => void listen(text).catch(fail),
    until: (ms) => world.time.runUntil(ms),
  }
}

describe('the network', () => {
  it('takes its time in both directions', async () => {
    const { say, until, heard } = await stage()
    say('a')
    await until(100)
    expect(heard).toEqual(['2: server 1: a'])
  })

  it('keeps the order of a stream and not that of calls', async () => {
    const { say, chat, until, heard, server, world } = await stage({ link: { delayMs: [1, 500] } })
    for (let n = 0; n < 30; n += 1) say(`${n}`)
    await until(2_000)
    const calls = server.said.splice(0)
    expect(calls).not.toEqual(calls.toSorted((a, b) => Number(a) - Number(b)))
    expect(calls).toHaveLength(30)
    heard.splice(0)
    chat('x')
    await until(world.time.nowMs + 5_000)
    expect(heard.length).toBeGreaterThan(30)
    expect(new Set(heard.map((each) => each.split(': ').slice(1).join(' ')))).toEqual(
      new Set(['re x']),
    )
  })

  it('loses requests and answers: the caller is told, or its deadline comes', async () => {
    const { say, until, heard, server } = await stage({ link: { delayMs: [1, 1], lostShare: 0.5 } })
    for (let n = 0; n < 200; n += 1) say(`${n}`, 1_000)
    await until(5_000)
    const count = (what: string): number => heard.filter((each) => each.endsWith(what)).length
    expect(heard).toHaveLength(200)
    const answered = heard.filter((each) => each.includes('server 1')).length
    expect(count('UNAVAILABLE')).toBeGreaterThan(40)
    expect(count('1000: DEADLINE_EXCEEDED')).toBeGreaterThan(40)
    // Some were carried out although their callers were not told.
    expect(server.said.length).toBeGreaterThan(answered + 20)
    expect(answered).toBeGreaterThan(20)
  })

  it('delivers a unary request twice, and the caller hears one answer', async () => {
    const { say, until, heard, server } = await stage({
      link: { delayMs: [1, 5], duplicateShare: 1 },
    })
    say('a')
    await until(100)
    expect(server.said).toEqual(['a', 'a'])
    expect(heard).toHaveLength(1)
  })

  it('resets streams at both ends', async () => {
    const { chat, until, heard, server } = await stage({
      link: { delayMs: [1, 1], resetShare: 0.05 },
    })
    chat('a')
    await until(20_000)
    expect(heard.at(-1)).toMatch(/UNAVAILABLE$/)
    expect(server.ended).toEqual(['CANCELLED'])
  })

  it('refuses where nobody listens, also while the process is down', async () => {
    const { say, until, heard, server } = await stage()
    server.process.kill()
    say('a')
    await until(100)
    server.process.start()
    await until(200)
    say('b')
    await until(300)
    expect(heard).toEqual(['2: UNAVAILABLE', '202: server 2: b'])
  })

  it('goes slow between two alone', async () => {
    const { say, until, heard, world } = await stage()
    world.network.setBetween('server', 'caller-machine', { delayMs: [50, 50] })
    say('a')
    await until(200)
    world.network.setBetween('caller-machine', 'server', undefined)
    say('b')
    await until(300)
    expect(heard).toEqual(['100: server 1: a', '202: server 1: b'])
  })
})

describe('a death', () => {
  it('breaks calls and streams of the other end at once', async () => {
    const { say, chat, until, heard, server } = await stage()
    say('wait')
    chat('a')
    await until(10)
    server.process.kill()
    await until(1_000)
    expect(heard).toEqual(['2: re: a', '11: UNAVAILABLE', '11: UNAVAILABLE'])
  })

  it('of a caller cancels what it had asked for', async () => {
    const { chat, until, server, caller } = await stage()
    chat('a')
    await until(10)
    caller.kill()
    await until(1_000)
    expect(server.ended).toEqual(['CANCELLED'])
    expect(server.said).toEqual(['a'])
  })

  it('lets answers that were sent before arrive', async () => {
    const { say, until, heard, server } = await stage({ link: { delayMs: [20, 20] } })
    say('a')
    await until(25)
    server.process.kill()
    await until(1_000)
    expect(heard).toEqual(['40: server 1: a'])
  })

  it('by power loss is silent: deadlines, and streams after 10 s', async () => {
    const { say, chat, until, heard, server } = await stage()
    say('wait', 3_000)
    chat('a')
    await until(10)
    server.process.machine.powerOff()
    say('b', 3_000)
    await until(60_000)
    expect(heard).toEqual([
      '2: re: a',
      '3000: DEADLINE_EXCEEDED',
      '3010: DEADLINE_EXCEEDED',
      '10010: UNAVAILABLE',
    ])
  })
})

describe('a partition', () => {
  it('holds messages back, and they arrive when it heals soon', async () => {
    const { say, chat, until, heard, world, server } = await stage()
    chat('a')
    await until(10)
    world.network.partition('caller', 'server')
    expect(world.network.connected('server', 'caller')).toBe(false)
    say('b')
    await until(5_000)
    expect(heard).toEqual(['2: re: a'])
    world.network.heal('server', 'caller')
    await until(5_050)
    expect(heard.slice(1, 3).toSorted()).toEqual(['5002: re: a', '5002: server 1: b'])
    await until(30_000)
    expect(heard.filter((each) => each.includes('UNAVAILABLE'))).toEqual([])
    expect(server.ended).toEqual([])
  })

  it('breaks streams at both ends after 10 s; calls end by their deadline', async () => {
    const { say, chat, until, heard, world, server } = await stage()
    chat('a')
    await until(10)
    world.network.partition('caller-machine', 'server-machine')
    say('b', 15_000)
    chat('c')
    await until(60_000)
    expect(heard).toEqual([
      '2: re: a',
      '10010: UNAVAILABLE',
      '10010: UNAVAILABLE',
      '15010: DEADLINE_EXCEEDED',
    ])
    expect(server.ended).toEqual(['CANCELLED'])
    expect(server.said).toEqual(['a'])
    world.network.healAll()
    await until(61_000)
    say('d')
    await until(62_000)
    expect(heard.at(-1)).toBe('61002: server 1: d')
    expect(server.said).toEqual(['a', 'd'])
  })

  it('hides a death until it heals', async () => {
    const { chat, until, heard, world, server } = await stage()
    chat('a')
    await until(10)
    world.network.partition('caller', '*')
    server.process.kill()
    server.process.start()
    await until(5_000)
    expect(heard).toEqual(['2: re: a'])
    world.network.healAll()
    await until(5_100)
    expect(heard.slice(1)).toEqual(['5001: UNAVAILABLE'])
  })

  it('from the log leaves the network alone', async () => {
    const { world, say, until, heard, caller } = await stage()
    world.network.partition('caller', 'log')
    say('a')
    await until(100)
    expect(heard).toEqual(['2: server 1: a'])
    caller.kill()
    caller.start()
    expect(world.network.connected('caller', 'log')).toBe(false)
  })
})

describe('a paused server', () => {
  it('answers late, and loses its streams after 10 s', async () => {
    const { say, chat, until, heard, server } = await stage()
    chat('a')
    await until(10)
    server.process.pause()
    say('b', 25_000)
    await until(20_000)
    expect(heard).toEqual(['2: re: a', '10010: UNAVAILABLE'])
    expect(server.ended).toEqual([])
    server.process.resume()
    await until(21_000)
    expect(heard.at(-1)).toBe('20001: server 1: b')
    expect(server.ended).toEqual(['CANCELLED'])
  })
})

describe('reset', () => {
  it('breaks everything that a process has open', async () => {
    const { chat, say, until, heard, world } = await stage()
    chat('a')
    say('never')
    await until(50)
    world.network.reset('server')
    await until(90)
    expect(heard).toEqual(['2: re: a', '50: UNAVAILABLE', '50: UNAVAILABLE'])
  })
})
