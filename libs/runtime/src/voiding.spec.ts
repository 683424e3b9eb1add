import { type Decider, invariant } from '@serverless-ai/kernel'
import { describe, expect, it } from 'vitest'
import {
  add,
  type BankCommand,
  type BankEvent,
  type BankState,
  bank,
  bankDecider,
} from './testing/bank.ts'
import { type Bank, World } from './testing/world.ts'

const reasonOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (error) => error.reason ?? String(error),
  )

/** Log positions: 0 is the claim, so the command that was executed as the n-th is at n. */
async function started(world: World, ...amounts: number[]): Promise<Bank> {
  const { runtime } = await world.started(bank())
  for (const amount of amounts) await world.run(runtime.execute(add('a', amount)))
  return runtime
}

/** Looks at a record and voids it. */
async function voidAt(world: World, runtime: Bank, position: number) {
  const looked = await world.run(
    runtime.voidRecord({ position, recordHash: '', validateOnly: true }),
  )
  const { recordHash } = looked
  return { looked, outcome: await world.run(runtime.voidRecord({ position, recordHash })) }
}

const balance = async (world: World, runtime: Bank): Promise<unknown> =>
  (await world.run(runtime.read((state) => state.accounts.get('a')))).value

describe('voiding a record', () => {
  it('tells its events first, and then takes them out of the state of all', async () => {
    const world = new World()
    const runtime = await started(world, 1, 100, 2)
    const { looked, outcome } = await voidAt(world, runtime, 2)
    expect(looked).toMatchObject({ voidPosition: 0, alreadyVoid: false })
    expect(looked.events).toEqual([{ type: 'Added', data: '{"type":"Added","key":"a","n":100}' }])
    expect(outcome).toMatchObject({ recordHash: looked.recordHash, voidPosition: 4 })
    await world.until(() => runtime.status().epoch === 2, 'leads again')
    expect(await balance(world, runtime)).toBe(3)
    expect((await world.fold(bank())).digest).toBe((await world.run(runtime.digest())).digest)
  })

  it('does nothing the second time, with and without a snapshot of it', async () => {
    const world = new World()
    const runtime = await started(world, 1, 100, 2)
    await voidAt(world, runtime, 2)
    await world.until(() => runtime.status().epoch === 2, 'leads again')
    const length = world.logLength()
    expect((await voidAt(world, runtime, 2)).outcome).toMatchObject({ alreadyVoid: true })
    await world.run(runtime.execute(add('a')))
    await world.run(runtime.snapshot())
    expect((await voidAt(world, runtime, 2)).outcome).toMatchObject({ alreadyVoid: true })
    const { records } = world.store.partition({
      topic: 'serverlessai.log.bank.v1',
      partition: 0,
    })
    expect(records.length).toBeGreaterThan(length)
    expect(await balance(world, runtime)).toBe(4)
  })

  it('refuses what is not there, not what was looked at, or holds no events', async () => {
    const world = new World()
    const runtime = await started(world, 1, 100)
    const tried = (position: number, recordHash = '', validateOnly = true) =>
      world.run(reasonOf(runtime.voidRecord({ position, recordHash, validateOnly })))
    expect(await tried(99)).toBe('POSITION_OUT_OF_RANGE')
    expect(await tried(0), 'a claim').toBe('VOID_MISMATCH')
    expect(await tried(1, 'ff'.repeat(32))).toBe('VOID_MISMATCH')
    expect(await tried(1, '', false), 'nobody has looked at it').toBe('VOID_MISMATCH')
    expect(await balance(world, runtime)).toBe(101)
  })

  it('refuses to take away what something later rests on', async () => {
    const strict: Decider<BankState, BankCommand, BankEvent> = {
      ...bankDecider,
      evolve(state, event, atMs) {
        const account = event.type === 'Added' ? (state.accounts.get(event.key) ?? 0) : 0
        if (event.type === 'Added') invariant(account + event.n >= 0, 'an account below zero')
        return bankDecider.evolve(state, event, atMs)
      },
    }
    const world = new World()
    const { runtime } = await world.started(bank({ decider: strict }))
    await world.run(runtime.execute(add('a', 5)))
    await world.run(runtime.execute({ type: 'Take', key: 'a', n: 5 }))
    const looking = runtime.voidRecord({ position: 1, recordHash: '', validateOnly: true })
    const error = await world.run(looking.catch((reason: unknown) => reason))
    expect(error).toMatchObject({ reason: 'VOID_BREAKS_LOG' })
    expect(String(error)).toContain('an account below zero')
    expect((await voidAt(world, runtime, 2)).outcome.voidPosition).toBe(3)
  })

  it('refuses below the start of the log', async () => {
    const world = new World()
    const runtime = await started(world, 1, 2, 3, 4)
    await world.run(runtime.snapshot())
    world.trim({ topic: 'serverlessai.log.bank.v1', partition: 0 }, 2)
    const tried = (position: number) =>
      world.run(reasonOf(runtime.voidRecord({ position, recordHash: '', validateOnly: true })))
    expect(await tried(1)).toBe('POSITION_OUT_OF_RANGE')
  })

  it('brings a partition back that has stopped at the record, also for new processes', async () => {
    let poisoned = false
    const fragile: Decider<BankState, BankCommand, BankEvent> = {
      ...bankDecider,
      evolve(state, event, atMs) {
        const poison = event.type === 'Added' && event.n === 666
        invariant(!(poison && poisoned), 'an event that cannot be')
        return bankDecider.evolve(state, event, atMs)
      },
    }
    const world = new World()
    const first = await world.started(bank({ decider: fragile }))
    for (const n of [1, 666, 2]) await world.run(first.runtime.execute(add('a', n)))
    first.log.kill()
    poisoned = true
    const stopped = world.process(bank({ decider: fragile })).runtime
    await expect(world.run(stopped.start())).rejects.toThrow('an event that cannot be')
    expect(stopped.status().role).toBe('Stopped')
    expect((await voidAt(world, stopped, 2)).outcome.voidPosition).toBeGreaterThan(2)
    const { runtime } = await world.started(bank({ decider: fragile }))
    expect(await balance(world, runtime)).toBe(3)
    await world.run(runtime.execute(add('a', 4)))
    expect((await world.fold(bank({ decider: fragile }))).state.accounts.get('a')).toBe(7)
  })
})
