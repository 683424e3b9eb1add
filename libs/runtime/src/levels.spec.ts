import { accept, type Decider, invariant } from '@serverless-ai/kernel'
import { describe, expect, it } from 'vitest'
import { FeatureLevelError } from './levels.ts'
import {
  add,
  type BankCommand,
  type BankEvent,
  type BankState,
  bank,
  bankDecider,
} from './testing/bank.ts'
import { type Replica, Replicas } from './testing/replicas.ts'
import { type BankDefinition, World } from './testing/world.ts'

/** The version before: it knows no interest, and would stop at it. */
const before: Decider<BankState, BankCommand, BankEvent> = {
  ...bankDecider,
  evolve(state, event, atMs) {
    invariant(event.type !== 'InterestSet', 'an event that this version does not know')
    return bankDecider.evolve(state, event, atMs)
  },
}
/** The version after: from level 2 on a deposit turns the interest on, in an event of its own. */
const after: Decider<BankState, BankCommand, BankEvent> = {
  ...bankDecider,
  decide(command, state, context) {
    const decision = bankDecider.decide(command, state, context)
    const news = (context.featureLevel ?? 1) >= 2 && command.type === 'Add' && !state.interest
    if (!news || !decision.accepted) return decision
    return { ...decision, events: [...decision.events, { type: 'InterestSet', on: true }] }
  },
}
const eventLevels = { InterestSet: 2 }
const old: BankDefinition = { ...bank({ decider: before }), featureLevel: 1 }
const next: BankDefinition = { ...bank({ decider: after }), featureLevel: 2, eventLevels }

/** Replicas a and b, of which each is started in the version that is wanted. */
class Cluster {
  readonly world = new World()
  readonly acknowledged: string[] = []
  #old: Replicas
  #next: Replicas
  #now = new Map<string, Replica>()
  #keys = 0

  constructor() {
    const names = ['a', 'b']
    const health = { wrap: (made: object) => ({ ...made, leaderHealth: this.health }) as never }
    const options = { newLogLevel: 1 }
    const common = { world: this.world, names, options, ...health }
    this.#old = new Replicas({ ...common, definition: old })
    this.#next = new Replicas({ ...common, definition: next })
  }

  readonly health = async (address: string, claim: string) => {
    const replica = this.#now.get(address)
    if (replica === undefined) return 'refused' as const
    return replica.runtime.serves(claim) === true ? ('serving' as const) : ('not-serving' as const)
  }

  boot(name: string, version: 'old' | 'next'): Replica {
    const replica = (version === 'old' ? this.#old : this.#next).boot(name)
    this.#now.set(name, replica)
    return replica
  }

  get(name: string): Replica {
    return this.#now.get(name)!
  }

  get leader(): Replica | undefined {
    return [...this.#now.values()].find(({ runtime }) => runtime.status().role === 'Leading')
  }

  async led(): Promise<Replica> {
    await this.world.until(() => this.leader !== undefined, 'one leads')
    return this.leader!
  }

  async stop(name: string): Promise<void> {
    const { runtime } = this.get(name)
    await this.world.run(runtime.stop())
    this.#now.delete(name)
  }

  /** Deposits, one after the other, by the published rules: again when it was not carried out. */
  async deposit(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const key = `k${this.#keys}`
      this.#keys += 1
      const request = this.world.request(key)
      for (;;) {
        const { runtime } = await this.led()
        const done = await this.world.run(runtime.execute(add(key), request).catch(() => undefined))
        if (done?.ok === true) break
        await this.world.time.advance(50)
      }
      this.acknowledged.push(key)
    }
  }

  /** Every acknowledged deposit is in the log exactly once. */
  async nothingLost(): Promise<void> {
    const { state } = await this.world.fold(next)
    const expected = this.acknowledged.map((key) => [key, 1])
    expect([...state.accounts].sort()).toEqual(expected.sort())
  }
}

const reasonOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (error) => error.reason ?? String(error),
  )

describe('feature levels', () => {
  it('let versions be rolled forward and back until the level is raised', async () => {
    const cluster = new Cluster()
    for (const name of ['a', 'b']) cluster.boot(name, 'old')
    await cluster.deposit(3)
    for (const version of ['next', 'old', 'next'] as const) {
      for (const name of ['a', 'b']) {
        await cluster.stop(name)
        cluster.boot(name, version)
        await cluster.deposit(3)
      }
    }
    const { runtime } = await cluster.led()
    expect(runtime.status()).toMatchObject({ featureLevel: 1, knownFeatureLevel: 2 })
    expect((await cluster.world.fold(old)).state.interest).toBe(false)
    await cluster.nothingLost()
  })

  it('turn on what is new when they are raised, for all readers', async () => {
    const cluster = new Cluster()
    for (const name of ['a', 'b']) cluster.boot(name, 'next')
    await cluster.deposit(2)
    const { runtime } = await cluster.led()
    const { world } = cluster
    expect(await world.run(runtime.raiseFeatureLevel(2, { validateOnly: true }))).toMatchObject({
      inUse: 1,
    })
    const raised = await world.run(runtime.raiseFeatureLevel(2))
    expect(raised.inUse).toBe(2)
    expect(await world.run(runtime.raiseFeatureLevel(2)), 'again').toMatchObject({ inUse: 2 })
    await cluster.deposit(1)
    const follower = cluster.get(runtime === cluster.get('a').runtime ? 'b' : 'a')
    const { value } = await world.run(
      follower.runtime.read((state) => state.interest, { minPosition: raised.token }),
    )
    expect(follower.runtime.status()).toMatchObject({ featureLevel: 2, role: 'Following' })
    await world.until(() => follower.runtime.status().position > 5, 'it is read')
    expect(value || (await cluster.world.fold(next)).state.interest).toBe(true)
    await cluster.nothingLost()
  })

  it('keep a version that does not know them from leading, and it says so', async () => {
    const cluster = new Cluster()
    for (const name of ['a', 'b']) cluster.boot(name, 'next')
    await cluster.deposit(2)
    const { world } = cluster
    await world.run((await cluster.led()).runtime.raiseFeatureLevel(2))
    await cluster.stop('a')
    await cluster.stop('b')
    const { runtime } = cluster.boot('a', 'old')
    const start = runtime.start().catch((error: unknown) => error)
    const error = await world.run(start)
    expect(error).toBeInstanceOf(FeatureLevelError)
    expect(String(error)).toMatch(
      /FEATURE_LEVEL_TOO_LOW: bank: feature level 2 .* knows levels up to 1 and does not lead/,
    )
    await world.time.advance(120_000)
    expect(runtime.status()).toMatchObject({ role: 'Following', featureLevel: 2 })
    expect(runtime.status().alarm).toMatch(/feature level 2 is in use/)
    cluster.boot('b', 'next')
    await cluster.deposit(2)
    await world.until(() => runtime.status().role === 'Stopped', 'it cannot fold what is new')
    expect(runtime.status().alarm).toMatch(/feature level 2 is in use.*cannot be folded/)
    // Started anew it meets what it cannot fold before it has reached the end: the same reason.
    const again = cluster.boot('a', 'old').runtime
    await world.until(() => again.status().role === 'Stopped', 'it stops again')
    await expect(again.start()).rejects.toThrow(/FEATURE_LEVEL_TOO_LOW: bank: feature level 2/)
    await cluster.nothingLost()
  })

  it('are refused where they are not known, and never taken back', async () => {
    const world = new World()
    const { runtime } = await world.started(next, { options: { newLogLevel: 1 } })
    expect(await world.run(reasonOf(runtime.raiseFeatureLevel(3)))).toBe('FEATURE_LEVEL_UNKNOWN')
    await world.run(runtime.raiseFeatureLevel(2))
    expect(await world.run(reasonOf(runtime.raiseFeatureLevel(1)))).toBe('FEATURE_LEVEL_LOWER')
    expect(runtime.status().featureLevel).toBe(2)
  })

  it('need no raise in a log that nobody has written into', async () => {
    const world = new World()
    const first = await world.started(next)
    await world.run(first.runtime.execute(add('a')))
    expect(first.runtime.status()).toMatchObject({ featureLevel: 2, knownFeatureLevel: 2 })
    expect((await world.fold(next)).state.interest).toBe(true)
    await world.run(first.runtime.stop())
    // Only the first of all: a log of an older version stays at its level.
    const other = new World()
    const before = await other.started(old)
    await other.run(before.runtime.execute(add('a')))
    await other.run(before.runtime.stop())
    const after = await other.started(next)
    await other.run(after.runtime.execute(add('b')))
    expect(after.runtime.status()).toMatchObject({ featureLevel: 1, knownFeatureLevel: 2 })
  })

  it('are kept by snapshots', async () => {
    const world = new World()
    const first = await world.started(next, { options: { newLogLevel: 1 } })
    await world.run(first.runtime.raiseFeatureLevel(2))
    await world.run(first.runtime.execute(add('a')))
    await world.run(first.runtime.stop())
    const { runtime } = await world.started(next)
    expect(runtime.status()).toMatchObject({ featureLevel: 2, role: 'Leading' })
    expect(runtime.status().lastSnapshot).not.toBe('')
  })

  it('stand in the way of an event that is used too early: a bug, and not in the log', async () => {
    const hasty: Decider<BankState, BankCommand, BankEvent> = {
      ...bankDecider,
      decide: (command, state, context) =>
        command.type === 'Add'
          ? accept<BankEvent>([{ type: 'InterestSet', on: true }])
          : bankDecider.decide(command, state, context),
    }
    const world = new World()
    const options = { newLogLevel: 1 }
    const { runtime } = await world.started({ ...next, decider: hasty }, { options })
    const answer = await world.run(runtime.execute(add('a')))
    expect(answer).toMatchObject({ ok: false, refusal: { reason: 'INTERNAL' } })
    expect(JSON.stringify(answer)).toContain("'InterestSet' needs feature level 2")
    expect((await world.fold(bank())).state.interest).toBe(false)
  })
})
