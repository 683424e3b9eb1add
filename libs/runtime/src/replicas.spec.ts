import { describe, expect, it } from 'vitest'
import { type BankCommand, bank } from './testing/bank.ts'
import { storyOf } from './testing/history.ts'
import { type Replica, Replicas, type ReplicasOptions } from './testing/replicas.ts'
import { World } from './testing/world.ts'

const add = (key: string, n = 1): BankCommand => ({ type: 'Add', key, n })
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
