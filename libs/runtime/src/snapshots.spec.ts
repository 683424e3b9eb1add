import {
  Commit_Kind,
  encodeCommit,
  encodeVoid,
  logTopic,
  noSnapshots,
  sha256,
} from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { DIGEST_EVERY_COMMITS } from './composer.ts'
import { add, bank, bankDecider } from './testing/bank.ts'
import { storyOf } from './testing/history.ts'
import { type Bank, World } from './testing/world.ts'
import type { Json, RuntimeEnvironment } from './types.ts'

const address = { topic: logTopic('bank'), partition: 0 }

async function addAll(world: World, runtime: Bank, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await world.run(runtime.execute(add(`k${i % 7}`, i), world.request()))
  }
}

describe('snapshots', () => {
  it('and the tail after them are the full fold', async () => {
    const world = new World()
    const definition = bank({ perform: () => new Promise(() => {}) })
    const { runtime } = await world.started(definition)
    await addAll(world, runtime, 10)
    await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    await world.run(runtime.execute({ type: 'Remind', key: 'r', dueMs: 2_000_000_000_000 }))
    await world.run(runtime.execute({ type: 'Boom' }))
    await world.run(runtime.snapshot())
    await addAll(world, runtime, 10)
    const served = await world.run(runtime.digest())
    const full = await world.fold(definition)
    const tail = await world.fold(definition, { snapshots: true })
    expect([full.digest, tail.digest]).toEqual([served.digest, served.digest])
    expect(full.unsettled).toBe(1)
  })

  it('are written every so many commits, read back, and only the two newest are kept', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank(), { options: { snapshotEveryCommits: 5 } })
    await addAll(world, runtime, 40)
    await world.time.advance(1000)
    const { snapshots } = world.environment(log, 'r1')
    const kept = await snapshots.list(address)
    expect(kept.length).toBeGreaterThanOrEqual(2)
    expect(kept.length).toBeLessThanOrEqual(3)
    expect(runtime.status().lastSnapshotPosition).toBeGreaterThan(30)
    expect((await world.fold(bank(), { snapshots: true })).digest).toBe(
      (await world.run(runtime.digest())).digest,
    )
  })

  it('are neither written nor asked for where none are kept', async () => {
    const world = new World()
    const wrap = (environment: RuntimeEnvironment) => ({ ...environment, snapshots: noSnapshots })
    const options = { snapshotEveryCommits: 5 }
    const first = await world.started(bank(), { options, wrap })
    await addAll(world, first.runtime, 40)
    await world.time.advance(1_000)
    await world.run(first.runtime.stop())
    const { runtime } = await world.started(bank(), { options, wrap })
    const { digest } = await world.run(runtime.digest())
    expect(digest).toBe((await world.fold(bank())).digest)
    expect([first.runtime, runtime].map((one) => one.status().lastSnapshot)).toEqual(['', ''])
    expect(world.ports.logger.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('take one percent of the time at most, the check of each included', async () => {
    const world = new World()
    const { clock } = world.ports
    let heldMs = 0
    const slow = {
      ...bankDecider,
      fromJson: (json: Json) => {
        heldMs += 50
        return bankDecider.fromJson(json)
      },
    }
    const held = {
      wallMs: () => clock.wallMs() + heldMs,
      monotonicMs: () => clock.monotonicMs() + heldMs,
      bootMs: () => clock.bootMs() + heldMs,
    }
    const { runtime } = await world.started(bank({ decider: slow }), {
      options: { snapshotEveryCommits: 1 },
      ports: { ...world.ports, clock: held },
    })
    const startMs = world.time.nowMs
    while (world.time.nowMs - startMs < 20_000) {
      await addAll(world, runtime, 1)
      await world.time.advance(100)
    }
    expect(heldMs).toBeGreaterThanOrEqual(150)
    expect(heldMs).toBeLessThanOrEqual(250)
  })

  it('that nobody has verified yet are left alone', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    const { snapshots } = world.environment(log, 'r1')
    const content = new Uint8Array(1)
    const written = { position: 1000, schemaVersion: 1, content }
    const { name } = await world.run(snapshots.put(address, written))
    for (let i = 0; i < 4; i += 1) {
      await addAll(world, runtime, 1)
      await world.run(runtime.snapshot())
      await world.time.advance(100)
    }
    const names = (await snapshots.list(address)).map((info) => info.name)
    expect(names).toContain(name)
    expect(names.length).toBeLessThanOrEqual(4)
  })

  it('that are damaged or of another version are not used', async () => {
    const world = new World()
    const first = await world.started(bank())
    await addAll(world, first.runtime, 5)
    await world.run(first.runtime.snapshot())
    first.log.kill()
    const second = await world.started({ ...bank(), schemaVersion: 2 })
    expect(second.runtime.status().lastSnapshot).toBe('')
    const { value } = await world.run(second.runtime.read((state) => state.events))
    expect(value).toBe(5)
  })
})

describe('digests in the log', () => {
  it('tell a replica that folds something else', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    for (let i = 0; i < DIGEST_EVERY_COMMITS; i += 1) await world.run(runtime.confirm())
    await addAll(world, runtime, 2)
    expect(runtime.status().alarm).toBe('')
    log.kill()
    const faithful = await world.started(bank())
    expect(faithful.runtime.status().alarm).toBe('')
    await addAll(world, faithful.runtime, 1)
    faithful.log.kill()
    const { initial } = bankDecider
    const drifting = { ...bankDecider, initial: () => ({ ...initial(), paid: 1 }) }
    const next = await world.started(bank({ decider: drifting }))
    expect(next.runtime.status()).toMatchObject({ role: 'Leading' })
    expect(next.runtime.status().alarm).toMatch(/digest at position/)
  })
})

describe('a void of the administrator', () => {
  it('takes the events of its record out of the state of all, and nothing else', async () => {
    const world = new World()
    const { runtime, log } = await world.started(bank())
    await world.run(runtime.execute(add('a', 1)))
    const request = world.request()
    const wrong = await world.run(runtime.execute(add('a', 100), request))
    await world.run(runtime.snapshot())
    await world.run(runtime.execute(add('a', 2)))
    const record = world.store.partition(address).records[2]!
    const recordHash = Buffer.from(sha256(record.value))
    const value = encodeVoid({ position: 2n, recordHash })
    await world.run(log.append(address, [{ key: '', headers: {}, value }]))
    await world.until(() => runtime.status().epoch === 2, 'leads again')
    const read = await world.run(runtime.read((state) => state.accounts.get('a')))
    expect(read.value).toBe(3)
    expect(await world.run(runtime.execute(add('a', 100), request))).toEqual(wrong)
    const full = await world.fold(bank())
    expect(full.state.accounts.get('a')).toBe(3)
    expect(full.digest).toBe((await world.run(runtime.digest())).digest)
    log.kill()
    const next = await world.started(bank())
    const again = await world.run(next.runtime.read((state) => state.accounts.get('a')))
    expect(again.value).toBe(3)
  })
})

describe('a log of a newer version', () => {
  it('is followed but not led', async () => {
    const world = new World()
    const first = await world.started(bank())
    await addAll(world, first.runtime, 1)
    first.log.kill()
    const { arbitration } = storyOf(world, bank()).state
    const value = encodeCommit({
      commitId: Buffer.alloc(16, 1),
      epoch: 1n,
      sequence: BigInt(arbitration.nextSequence),
      prev: Buffer.from(arbitration.chain),
      kind: Commit_Kind.NORMAL,
      atMs: BigInt(world.time.wallMs()),
      inputs: [],
      answers: [],
      events: [],
      publics: [],
      runtime: [{ type: 'FeatureLevelRaised', data: '{"level":9}' }],
    })
    const next = world.process(bank())
    await world.run(next.log.append(address, [{ key: '', headers: {}, value }]))
    await expect(world.run(next.runtime.start())).rejects.toThrow(/feature level 9/)
    await world.time.advance(60_000)
    expect(next.runtime.status()).toMatchObject({ role: 'Following', epoch: 1 })
    expect(next.runtime.status().alarm).toMatch(/feature level 9/)
  })
})
