import { describe, expect, it } from 'vitest'
import { createWorld } from './index.ts'
import type { ProcessContext, Running, World } from './types.ts'

const ADDRESS = { topic: 'serverlessai.log.test.v1', partition: 0 }
const entry = (text: string) => ({ key: '', headers: {}, value: Buffer.from(text) })
const EXACT = {
  link: { delayMs: [1, 1] },
  log: { sendDelayMs: [1, 1], ackDelayMs: [1, 1] },
} as const

const nothing = async (): Promise<void> => undefined

/** A program of one async function; what it says stands in `said`. */
function program(said: string[], main: (context: ProcessContext) => Promise<void>) {
  return (context: ProcessContext): Running => {
    main(context).catch((error: unknown) => said.push(`threw ${String(error)}`))
    return { stop: nothing }
  }
}

const landed = (world: World): readonly string[] =>
  world.store
    .partition(ADDRESS)
    .records.map(({ value }: { value: Uint8Array }) => Buffer.from(value).toString())

describe('a killed process', () => {
  it('hears of nothing any more, and what it sent lands', async () => {
    const world = createWorld({ seed: 1, ...EXACT })
    const said: string[] = []
    const victim = world.machine('m').process(
      'p',
      program(said, async ({ ports, eventLog }) => {
        const { timers, disk } = ports
        const tell = (what: string) => (): void => void said.push(what)
        timers.after(5, tell('timer'))
        timers.sleep(5).then(tell('sleep'), tell('sleep'))
        disk.read('/none').then(tell('disk'), tell('disk'))
        await timers.sleep(3)
        said.push('begins')
        eventLog.append(ADDRESS, [entry('a')]).then(tell('append'), tell('append'))
        eventLog.fetch(ADDRESS, { from: 0, maxBytes: 1, waitMs: 1000 }).then(tell('fetch'))
        await timers.sleep(100)
        said.push('never')
      }),
    )
    world.machine('m').setDiskFaults({ delayMs: [5, 5] })
    victim.start()
    await world.time.runUntil(3.5)
    victim.kill()
    expect(victim.state).toBe('stopped')
    await world.time.runUntil(5_000)
    expect(said).toEqual(['begins'])
    expect(landed(world)).toEqual(['a'])
    expect(world.time.pending).toBe(0)
    expect(world.store.partition(ADDRESS).waiters.size).toBe(0)
  })

  it('starts again with new ports and the same disk', async () => {
    const world = createWorld({ seed: 1, ...EXACT })
    const said: string[] = []
    const victim = world.machine('m').process(
      'p',
      program(said, async ({ ports, incarnation, onDeath }) => {
        onDeath(() => said.push(`${incarnation} dies`))
        await ports.disk.append('/f', Buffer.from(`${incarnation}`))
        said.push(Buffer.from(await ports.disk.read('/f')).toString())
        await ports.timers.sleep(10)
        said.push('slept')
      }),
    )
    victim.start()
    await world.time.runUntil(1)
    victim.kill()
    victim.start()
    await world.time.runUntil(20)
    expect(said).toEqual(['1', '1 dies', '12', 'slept'])
    expect(victim.incarnation).toBe(2)
  })
})

describe('a paused process', () => {
  it('waits, and everything due comes in order when it is resumed', async () => {
    const world = createWorld({ seed: 1, ...EXACT })
    const said: string[] = []
    const process = world.machine('m').process(
      'p',
      program(said, async ({ ports, eventLog }) => {
        const { timers, clock } = ports
        const tell = (what: string) => (): void => {
          said.push(`${what} at ${clock.monotonicMs()}`)
        }
        eventLog.append(ADDRESS, [entry('a')]).then(tell('appended'))
        timers.after(10, tell('10'))
        const cancelled = timers.after(30, tell('30'))
        timers.after(20, () => {
          tell('20')()
          cancelled.cancel()
        })
        await timers.sleep(40)
        tell('40')()
      }),
    )
    process.start()
    await world.time.runUntil(1.5)
    process.pause()
    expect(process.state).toBe('paused')
    await world.time.runUntil(35)
    expect(said).toEqual([])
    expect(landed(world)).toEqual(['a'])
    process.resume()
    await world.time.runUntil(100)
    expect(said).toEqual(['appended at 35', '10 at 35', '20 at 35', '40 at 40'])
  })

  it('can be killed meanwhile', async () => {
    const world = createWorld({ seed: 1 })
    const said: string[] = []
    const process = world.machine('m').process(
      'p',
      program(said, async ({ ports }) => {
        await ports.timers.sleep(5)
        said.push('slept')
      }),
    )
    process.start()
    await world.time.runUntil(1)
    process.pause()
    await world.time.runUntil(10)
    process.kill()
    process.resume()
    await world.time.runUntil(20)
    expect(said).toEqual([])
    expect(process.state).toBe('stopped')
  })
})

describe('a crash at any await', () => {
  const run = async (
    operations: number,
    moment: 'before' | 'after',
  ): Promise<{ said: string[]; log: readonly string[]; files: string }> => {
    const world = createWorld({ seed: 1, ...EXACT })
    const said: string[] = []
    const process = world.machine('m').process(
      'p',
      program(said, async ({ ports, eventLog }) => {
        await eventLog.append(ADDRESS, [entry('a')])
        said.push('appended')
        await ports.disk.append('/f', Buffer.from('x'))
        said.push('written')
        await ports.timers.sleep(5)
        said.push('slept')
        await eventLog.append(ADDRESS, [entry('b')])
        said.push('appended')
      }),
    )
    process.start()
    process.crashAfter(operations, moment)
    await world.time.runUntil(100)
    expect(process.state).toBe(operations <= 4 ? 'stopped' : 'running')
    const files = world.machine('m').disk.files.get('/f')
    return { said, log: landed(world), files: Buffer.from(files ?? []).toString() }
  }

  it('comes before or after the effect, and always before the answer', async () => {
    expect(await run(1, 'before')).toEqual({ said: [], log: [], files: '' })
    expect(await run(1, 'after')).toEqual({ said: [], log: ['a'], files: '' })
    expect(await run(2, 'before')).toEqual({ said: ['appended'], log: ['a'], files: '' })
    expect(await run(2, 'after')).toEqual({ said: ['appended'], log: ['a'], files: 'x' })
    expect((await run(3, 'after')).said).toEqual(['appended', 'written'])
    expect((await run(4, 'before')).log).toEqual(['a'])
    expect((await run(4, 'after')).log).toEqual(['a', 'b'])
    expect((await run(5, 'before')).said).toEqual(['appended', 'written', 'slept', 'appended'])
  })
})

describe('a stopped process', () => {
  it('ends in its own order, or is killed on the way', async () => {
    const world = createWorld({ seed: 1 })
    const said: string[] = []
    const process = world.machine('m').process('p', ({ ports }) => ({
      stop: async () => {
        await ports.timers.sleep(50)
        said.push('stopped')
      },
    }))
    process.start()
    await world.time.runUntil(1)
    let over = 0
    const count = (): void => {
      over += 1
    }
    void process.stop().then(count)
    await world.time.runUntil(40)
    expect([process.state, over]).toEqual(['running', 0])
    await world.time.runUntil(60)
    expect([process.state, over, said]).toEqual(['stopped', 1, ['stopped']])
    process.start()
    await world.time.runUntil(70)
    void process.stop().then(count)
    process.kill()
    await world.time.runUntil(200)
    expect([process.state, over, said]).toEqual(['stopped', 2, ['stopped']])
  })
})

describe('clocks of machines', () => {
  const broken: string[] = []

  it('skew, jump and drift, and timers go with them', async () => {
    const world = createWorld({ seed: 1, wallMs: 1_000_000 })
    const said: number[] = []
    const machine = world.machine('fast')
    machine.setClock({ skewMs: 500, rate: 1.04 })
    const process = machine.process(
      'p',
      program([], async ({ ports: { clock, timers } }) => {
        said.push(clock.wallMs())
        const begin = clock.bootMs()
        await timers.sleep(1040)
        said.push(world.time.nowMs, clock.bootMs() - begin)
        await timers.sleep(104)
        said.push(clock.wallMs())
      }),
    )
    process.start()
    await world.time.runUntil(1_050)
    machine.setClock({ skewMs: -500, rate: 1.04 })
    await world.time.runUntil(2_000)
    expect(said.map(Math.round)).toEqual([1_000_500, 1_000, 1_040, 1_000_600])
    expect(machine.clock.skewMs).toBe(-500)
  })

  it('show a timer that rang that its time is over, whatever the numbers', async () => {
    const world = createWorld({ seed: 8 })
    let rings = 0
    for (let n = 0; n < 20; n += 1) {
      const machine = world.machine(`m${n}`)
      machine.setClock({ skewMs: 0, rate: 0.96 + world.random.float() * 0.08 })
      const main = async ({ ports }: ProcessContext): Promise<void> => {
        const { clock, timers, randomness } = ports
        for (;;) {
          const untilMs = clock.monotonicMs() + randomness.float() * 100
          await timers.sleep(untilMs - clock.monotonicMs())
          expect(clock.monotonicMs()).toBeGreaterThanOrEqual(untilMs)
          expect(clock.monotonicMs()).toBeLessThan(untilMs + 0.01)
          rings += 1
        }
      }
      machine.process(`p${n}`, program(broken, main)).start()
    }
    await world.time.runUntil(20_000.3)
    expect(broken).toEqual([])
    expect(rings).toBeGreaterThan(5_000)
  })

  it('keeps monotonic time continuous over a change of rate, not over a power loss', async () => {
    const world = createWorld({ seed: 1 })
    const machine = world.machine('m')
    let boot = (): number => -1
    const process = machine.process('p', ({ ports }) => {
      boot = () => ports.clock.bootMs()
      return { stop: nothing }
    })
    process.start()
    await world.time.runUntil(1_000)
    expect(boot()).toBe(1_000)
    machine.setClock({ skewMs: 0, rate: 0.96 })
    expect(boot()).toBe(1_000)
    await world.time.runUntil(2_000)
    expect(boot()).toBe(1_960)
    machine.powerOff()
    await world.time.runUntil(3_000)
    process.start()
    await world.time.runUntil(3_100)
    expect(boot()).toBeCloseTo(96)
  })
})
