import type { SnapshotStore } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { add, bank } from './testing/bank.ts'
import { storyOf } from './testing/history.ts'
import { type Replica, Replicas, type ReplicasOptions } from './testing/replicas.ts'
import { World } from './testing/world.ts'

const several = (options: Omit<ReplicasOptions, 'world'> = {}): Replicas =>
  new Replicas({ world: new World(), ...options })
const claims = (replicas: Replicas): readonly string[] => storyOf(replicas.world, bank()).leaders
const slow = (ms: number) => ({ sendDelayMs: [ms, ms], ackDelayMs: [0, 0] }) as const
const reasonOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'accepted',
    (error) => `${error.reason} ${error.metadata?.leaderAddress}`,
  )

/** A new leader within this time of the death or hang of the last one, ms. */
const takeoverMs = (appendMs: number): number => 6000 + 8 * appendMs

async function after(
  replicas: Replicas,
  fault: (leader: Replica) => void,
): Promise<{ leader: Replica; replica: Replica; tookMs: number }> {
  const leader = await replicas.started()
  await replicas.world.time.advance(10_000)
  expect(claims(replicas)).toEqual([leader.name])
  fault(leader)
  return { leader, ...(await replicas.successor(leader)) }
}

describe('several replicas', () => {
  it('of one name are told of', async () => {
    const replicas = several({
      names: ['a', 'b'],
      wrap: (environment) => ({ ...environment, replica: 'r1', replicas: ['r1', 'r2'] }),
    })
    const leader = await replicas.started()
    await replicas.world.time.advance(1_000)
    const alarms = [...replicas.running.values()].map(({ name, runtime }) => ({
      leads: name === leader.name,
      alarm: runtime.status().alarm,
    }))
    const alarm = `a process at ${leader.name} leads as r1, too: give each replica its own name`
    expect(alarms).toContainEqual({ leads: true, alarm: '' })
    expect(alarms).toContainEqual({ leads: false, alarm })
  })

  it('have one leader, and it stays while nothing happens', async () => {
    const replicas = several()
    await replicas.started()
    await replicas.world.time.advance(600_000)
    expect(claims(replicas).length).toBe(1)
    expect(replicas.leaders().length).toBe(1)
  })

  it('have it at once on a new log', async () => {
    const replicas = several()
    const startMs = replicas.world.time.nowMs
    await replicas.started()
    expect(replicas.world.time.nowMs - startMs).toBeLessThan(100)
  })

  it('are started when somebody leads', async () => {
    const replicas = several()
    const leader = await replicas.started()
    const again = replicas.names.find((name) => name !== leader.name)!
    replicas.kill(replicas.running.get(again)!)
    const { runtime } = replicas.boot(again)
    const startMs = replicas.world.time.nowMs
    await replicas.world.run(runtime.start())
    expect(runtime.status().role).toBe('Following')
    expect(replicas.world.time.nowMs - startMs).toBeLessThan(50)
  })
})

describe('the names of replicas', () => {
  it('are distinct and have the own one among them', () => {
    for (const names of [['b', 'c'], ['a', 'b', 'b'], []]) {
      expect(() => several({ names }).boot('a')).toThrow(RangeError)
    }
  })
})

describe('a standby takes over', () => {
  it('when the process of the leader is dead', async () => {
    const replicas = several()
    const { tookMs } = await after(replicas, (leader) => replicas.kill(leader))
    expect(tookMs).toBeLessThan(1500)
  })

  it('when its machine is gone and nothing answers', async () => {
    const { tookMs } = await after(several(), (leader) => {
      leader.log.kill()
      leader.reachable = 'silent'
    })
    expect(tookMs).toBeLessThan(takeoverMs(0))
  })

  it('when it answers and its log stands still', async () => {
    const { tookMs } = await after(several(), (leader) => leader.log.pause())
    expect(tookMs).toBeLessThan(takeoverMs(0))
  })

  it('at once when it yields', async () => {
    const replicas = several()
    const { tookMs } = await after(replicas, (leader) => void leader.runtime.stop())
    expect(tookMs).toBeLessThan(500)
    expect(claims(replicas).length).toBe(2)
  })

  it('when it yields, and not before, however long that takes', async () => {
    const replicas = several({
      wrap: (environment) => {
        const { snapshots } = environment
        const slow: SnapshotStore = {
          list: (address) => snapshots.list(address),
          get: (address, name) => snapshots.get(address, name),
          remove: (address, name) => snapshots.remove(address, name),
          put: async (address, snapshot) => {
            await replicas.world.ports.timers.sleep(2900)
            return snapshots.put(address, snapshot)
          },
        }
        return { ...environment, snapshots: slow }
      },
    })
    const { world } = replicas
    const leader = await replicas.started()
    await world.run(leader.runtime.execute(add('a')))
    // All that is published is recorded as such by then; the next tick is due soon.
    await world.time.advance(15_000)
    const length = world.logLength()
    await world.until(() => world.logLength() > length, 'a tick')
    await world.time.advance(900)
    const stopped = leader.runtime.stop()
    const { tookMs } = await replicas.successor(leader)
    expect(tookMs).toBeGreaterThanOrEqual(2900)
    expect(tookMs).toBeLessThan(3300)
    await world.run(stopped)
    expect(replicas.leaders()[0]!.runtime.status().epoch).toBe(2)
    expect(leader.runtime.status().lastSnapshotPosition).toBeGreaterThan(0)
  })

  it('whoever is left, and on a log whose append takes long', async () => {
    for (const names of [
      ['a', 'b'],
      ['a', 'b', 'c'],
    ]) {
      for (const fault of ['kill', 'pause'] as const) {
        const replicas = several({ names, faults: slow(1500) })
        const { tookMs } = await after(replicas, (leader) => {
          if (fault === 'kill') replicas.kill(leader)
          else leader.log.pause()
        })
        expect(tookMs).toBeLessThan(takeoverMs(1500))
      }
    }
  })

  it('and the old leader learns of it when it comes back', async () => {
    const replicas = several()
    const { leader, replica } = await after(replicas, (one) => one.log.pause())
    const sent = reasonOf(leader.runtime.execute(add('a')))
    await replicas.world.time.advance(10)
    leader.log.resume()
    expect(await replicas.world.run(sent)).toBe(`NOT_LEADING ${replica.name}`)
    await replicas.world.time.advance(60_000)
    expect(claims(replicas)).toEqual([leader.name, replica.name])
  })

  it('not while it cannot read the log itself', async () => {
    const replicas = several()
    const leader = await replicas.started()
    const cut = [...replicas.running.values()].filter((one) => one !== leader)
    for (const one of cut) one.log.pause()
    leader.reachable = 'silent'
    await replicas.world.time.advance(60_000)
    for (const one of cut) one.log.resume()
    await replicas.world.time.advance(60_000)
    expect(claims(replicas)).toEqual([leader.name])
  })

  it('alone, after all of them died', async () => {
    const replicas = several()
    const leader = await replicas.started()
    for (const one of [...replicas.running.values()]) replicas.kill(one)
    replicas.boot(leader.name)
    expect((await replicas.successor(leader)).tookMs).toBeLessThan(takeoverMs(0))
  })
})

describe('clocks', () => {
  const warnings = (replicas: Replicas): readonly string[] =>
    replicas.world.ports.logger.lines
      .filter(({ level }) => level === 'warn')
      .map(({ message }) => message)

  it.each([-6000, 6000])('that differ by %i ms are told, and others go first', async (differMs) => {
    for (const odd of ['a', 'b', 'c']) {
      const replicas = several({ skewMs: { [odd]: differMs } })
      // Leads before its log says anything of a clock.
      const leader = await replicas.started()
      await replicas.world.time.advance(5000)
      if (leader.name === odd) continue
      expect(warnings(replicas)).toContain(
        `the wall clock is ${differMs < 0 ? 'behind' : 'ahead of'} the log`,
      )
      replicas.kill(leader)
      const { replica } = await replicas.successor(leader)
      expect(replica.name).not.toBe(odd)
      replicas.kill(replica)
      // Alone it leads all the same.
      const last = await replicas.successor(replica)
      expect(last.replica.name).toBe(odd)
      expect(last.tookMs).toBeLessThan(takeoverMs(0))
    }
  })
})

describe('a follower', () => {
  it('serves reads, at the position that is asked for', async () => {
    const replicas = several()
    const { world } = replicas
    const leader = await replicas.started()
    const { position } = await world.run(leader.runtime.execute(add('x', 7)))
    const follower = [...replicas.running.values()].find((one) => one !== leader)!
    const { value, token } = await world.run(
      follower.runtime.read((state) => state.accounts.get('x'), { minPosition: position }),
    )
    expect([value, token]).toEqual([7, position])
    const later = follower.runtime.read((state) => state.accounts.get('x'), {
      minPosition: position.replace(/:\d+:\d+$/, ':9:2'),
    })
    let settled = false
    void later.then(() => {
      settled = true
    })
    await world.time.advance(10)
    expect(settled).toBe(false)
    for (let i = 0; i < 8; i += 1) await world.run(leader.runtime.execute(add('x')))
    expect((await world.run(later)).value).toBe(15)
    const digests = await Promise.all(
      [...replicas.running.values()].map(({ runtime }) => world.run(runtime.digest())),
    )
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(1)
  })

  it('sends everything else to the leader, and nowhere while there is none', async () => {
    const replicas = several({ faults: slow(300) })
    const { world } = replicas
    const leader = await replicas.started()
    await world.run(leader.runtime.execute(add('x')))
    const { runtime } = [...replicas.running.values()].find((one) => one !== leader)!
    const page = { types: [], pageSize: 10, pageToken: '' }
    const all = (): Promise<readonly string[]> =>
      Promise.all([
        reasonOf(runtime.execute(add('y'))),
        reasonOf(runtime.confirm()),
        reasonOf(runtime.feedSnapshot(page)),
        reasonOf(runtime.feedSnapshot({ ...page, pageToken: 'of-the-leader:1' })),
        reasonOf(runtime.watchFeed(0, new AbortController().signal)[Symbol.asyncIterator]().next()),
      ])
    const there = `NOT_LEADING ${leader.name}`
    expect(new Set(await all())).toEqual(new Set([there]))
    await world.run(leader.runtime.stop())
    // The claim of the next one is on its way.
    await world.time.advance(10)
    expect(new Set(await all())).toEqual(new Set(['NOT_LEADING ']))
  })

  it('asks nobody while its leader is busy', async () => {
    const replicas = several()
    const { world } = replicas
    const leader = await replicas.started()
    await world.time.advance(2000)
    await world.run(leader.runtime.execute(add('x')))
    const asked = replicas.questions
    for (let i = 0; i < 50; i += 1) {
      await world.time.advance(200)
      await world.run(leader.runtime.execute(add('x')))
    }
    expect(replicas.questions).toBe(asked)
    await world.time.advance(700)
    expect(replicas.questions).toBe(asked + 2)
  })

  it('performs no effect and rings no timer', async () => {
    let performed = 0
    const definition = bank({
      perform: async ({ payload }) => {
        performed += 1
        return { type: 'Called', key: (payload as { to: string }).to }
      },
    })
    const replicas = several({ definition })
    const { world } = replicas
    const leader = await replicas.started()
    await world.run(leader.runtime.execute({ type: 'Call', key: 'c' }))
    const dueMs = world.time.wallMs() + 500
    await world.run(leader.runtime.execute({ type: 'Remind', key: 'r', dueMs }))
    await world.time.advance(5000)
    expect(performed).toBe(1)
    const { state } = await world.fold(definition)
    expect(state.reminders).toEqual(['set r', 'rang r'])
  })
})

describe('health of a claim', () => {
  it('is of exactly that claim, while its commits are read back', async () => {
    const replicas = several()
    const { runtime, log } = await replicas.started()
    await replicas.world.time.advance(2000)
    const { claim } = replicas
    expect(claim).toMatch(/^bank\/0\/1\/[0-9a-f]{32}$/)
    expect(runtime.serves(claim)).toBe(true)
    expect(runtime.serves(claim.replace('/1/', '/2/'))).toBe(false)
    expect(runtime.serves(`${claim.slice(0, -1)}x`)).toBe(false)
    expect(runtime.serves('bank')).toBeUndefined()
    expect(runtime.serves('')).toBeUndefined()
    expect(runtime.serves(claim.replace('bank', 'sink'))).toBeUndefined()
    expect(runtime.serves(claim.replace('/0/', '/1/'))).toBeUndefined()
    log.pause()
    void reasonOf(runtime.execute(add('a')))
    await replicas.world.time.advance(1000)
    expect(runtime.serves(claim)).toBe(true)
    await replicas.world.time.advance(4000)
    expect(runtime.serves(claim)).toBe(false)
  })
})
