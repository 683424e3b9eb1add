import { describe, expect, it } from 'vitest'
import { add, bank } from './testing/bank.ts'
import { Replicas } from './testing/replicas.ts'
import { type Bank, type Process, World } from './testing/world.ts'

const source = bank({ name: 'source' })
const sink = bank({ name: 'sink', other: 'source' })

/** The log of the sink is full: `a` waits in the commit in flight, `b` behind it. */
async function fillUp(world: World, from: Bank, { log }: Pick<Process, 'log'>): Promise<void> {
  log.setFaults({ full: true })
  await world.run(from.execute(add('a')))
  await world.time.advance(20)
  await world.run(from.execute(add('b')))
}

describe('what lingered while the log took nothing', () => {
  it('inputs: they are committed when there is room, and the process stops at once', async () => {
    const world = new World(1)
    const from = await world.started(source)
    const to = await world.started(sink)
    await fillUp(world, from.runtime, to)
    await world.time.advance(5_000)
    to.log.setFaults(undefined)
    await world.time.advance(5_000)
    const { value } = await world.run(to.runtime.read(({ seen }) => [...seen.keys()]))
    expect(value).toEqual(['a', 'b'])
    const startMs = world.time.nowMs
    await world.run(to.runtime.stop())
    expect(world.time.nowMs - startMs).toBeLessThan(1_000)
  })

  it('outcomes of effects: they are settled', async () => {
    const world = new World(1)
    const gate = Promise.withResolvers<void>()
    const definition = bank({
      perform: async () => {
        await gate.promise
        return { type: 'Called', key: 'x' }
      },
    })
    const { runtime, log } = await world.started(definition)
    await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    log.setFaults({ full: true })
    const blocked = runtime.execute({ type: 'Interest', on: false })
    blocked.catch(() => undefined)
    await world.time.advance(20)
    gate.resolve()
    await world.time.advance(5_000)
    await expect(world.run(blocked)).rejects.toMatchObject({ reason: 'DISK_FULL' })
    expect(runtime.status().unsettledEffects).toBe(1)
    log.setFaults(undefined)
    await world.time.advance(5_000)
    expect(runtime.status().unsettledEffects).toBe(0)
  })

  it('the leader goes on to lead: it is not silent', async () => {
    const world = new World(1)
    const from = await world.started(source)
    const replicas = new Replicas({ world, names: ['a', 'b'], definition: sink })
    const leader = await replicas.started()
    await world.time.advance(5_000)
    const { epoch } = leader.runtime.status()
    await fillUp(world, from.runtime, leader)
    await world.time.advance(900)
    leader.log.setFaults(undefined)
    await world.time.advance(20_000)
    expect(replicas.leaders().map(({ runtime }) => runtime.status().epoch)).toEqual([epoch])
  })
})
