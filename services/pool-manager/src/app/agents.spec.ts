import { afterEach, expect, test } from 'vitest'
import { lostAfterMs } from '../core/lease.ts'
import type { PoolState } from '../core/state.ts'
import { PoolRig } from '../testing/pool-rig.ts'

let rig: PoolRig | undefined

async function started(init: { leaseMs?: number } = {}): Promise<PoolRig> {
  rig = new PoolRig(init)
  await rig.start()
  return rig
}

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})

const at = (state: PoolState, nodeId: string) => state.nodes.get(nodeId)?.state.at
const key = (rank: number, generation = 1) => ({ jobId: 'j-0-1', gang: 0, generation, rank })
const phase = (state: PoolState, rank: number, generation = 1) =>
  state.gangs.get('j-0-1/0')?.memberships.get(generation)?.executions[rank]?.phase

test('an agent registers, gets its lease renewed and its desired set', async () => {
  const rig = await started()
  const agent = rig.connect('n1', 's1')
  expect(await rig.run(agent.next('welcome'))).toMatchObject({ leaseMs: 15_000n })
  expect((await rig.run(agent.desired(0))).forget).toHaveLength(0)
  agent.heartbeat(1, 777)
  const ack = await rig.run(agent.next('heartbeatAck'))
  expect(ack).toMatchObject({ number: 1n, sentBootMs: 777n, leaseMs: 15_000n })
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  const set = await rig.run(agent.desired(1))
  expect(set.assignments[0]).toMatchObject({
    key: key(0),
    command: ['python3', 'train.py'],
    env: { WORLD_SIZE: '1', RANK: '0' },
    deviceIndexes: [0],
    ports: [20_000],
    exclusive: true,
    stopGraceMs: 3_000n,
  })
})

test('a contract before its grant launches as well', async () => {
  const rig = await started()
  const agent = rig.connect('n1', 's1')
  await rig.prepare('j-0-1', 1, 1)
  await rig.place('j-0-1', 1, ['n1'])
  expect((await rig.run(agent.desired(1))).assignments[0]?.key).toMatchObject(key(0))
})

test('a report is acknowledged once it is effective, a copy changes nothing', async () => {
  const rig = await started()
  const agent = rig.connect('n1', 's1')
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(agent.desired(1))
  const line = { key: key(0), line: 1n, json: '{"kind":"checkpoint","step":5,"path":"/c"}' }
  agent.report(1, [{ key: key(0), state: 'RUNNING' }], { lines: [line] })
  expect(await rig.run(agent.next('reportAck'))).toMatchObject({ number: 1n })
  const { value } = await rig.run(rig.runtime.read((state) => phase(state, 0)?.at))
  expect(value).toBe('Running')
  const seq = rig.runtime.status().publicSeq
  agent.report(1, [{ key: key(0), state: 'RUNNING' }], { lines: [line] })
  expect(await rig.run(agent.next('reportAck'))).toMatchObject({ number: 1n })
  expect(rig.runtime.status().publicSeq).toBe(seq)
  expect(await rig.published()).toEqual(['NodeChanged', 'TaskStarted', 'TaskReported'])
})

test('an ended task is recorded, freed, and the agent may forget it', async () => {
  const rig = await started()
  const agent = rig.connect('n1', 's1')
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(agent.desired(1))
  agent.report(1, [{ key: key(0), state: 'EXITED' }])
  await rig.run(agent.next('reportAck'))
  const set = await rig.run(agent.desired(0))
  const forgets = set.forget.length > 0 ? set : await rig.run(agent.desired(0))
  expect(forgets.forget).toMatchObject([key(0)])
  const names = await rig.published()
  expect(names).toEqual(['NodeChanged', 'TaskStarted', 'TaskExited', 'DevicesFreed'])
})

test('a released task leaves the set and is free once a set without it is applied', async () => {
  const rig = await started()
  const agent = rig.connect('n1', 's1')
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  const before = await rig.run(agent.desired(1))
  await rig.release('j-0-1', 1, 'RECOVER')
  const after = await rig.run(agent.desired(0))
  agent.report(1, [], before.version === undefined ? {} : { applied: before.version })
  await rig.run(agent.next('reportAck'))
  const still = await rig.run(rig.runtime.read((state) => phase(state, 0)?.at))
  expect(still.value).toBe('Stopping')
  agent.report(2, [], after.version === undefined ? {} : { applied: after.version })
  await rig.run(agent.next('reportAck'))
  const freed = await rig.run(rig.runtime.read((state) => phase(state, 0)?.at))
  expect(freed.value).toBe('Freed')
})

test('a second agent with the same node id is refused while the first one lives', async () => {
  const rig = await started()
  const first = rig.connect('n1', 's1')
  await rig.run(first.next('welcome'))
  const second = rig.connect('n1', 's2')
  expect(await rig.run(second.ended)).toBe('NODE_ID_IN_USE')
  first.heartbeat(1)
  expect(await rig.run(first.next('heartbeatAck'))).toMatchObject({ number: 1n })
})

test('a new stream of the same supervisor takes over at once', async () => {
  const rig = await started()
  const first = rig.connect('n1', 's1')
  await rig.run(first.next('welcome'))
  const second = rig.connect('n1', 's1')
  await rig.run(second.next('welcome'))
  expect(await rig.run(first.ended)).toBe('STREAM_REPLACED')
  await rig.ports.time.advance(1_000)
  const { value } = await rig.run(rig.runtime.read((state) => at(state, 'n1')))
  expect(value).toBe('Ready')
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(second.desired(1))
})

test('the token of another node, another protocol and a missing role are refused', async () => {
  const rig = await started()
  const stolen = rig.connect('n1', 's1', { token: 'token-n2' })
  expect(await rig.run(stolen.ended)).toBe('NODE_ID_MISMATCH')
  const newer = rig.connect('n1', 's1', { protocol: 9 })
  expect(await rig.run(newer.ended)).toBe('PROTOCOL_VERSION')
  const tenant = rig.connect('n1', 's1', { token: 'token-team-a' })
  expect(await rig.run(tenant.ended)).toBe('PERMISSION_DENIED')
  const nobody = rig.connect('n1', 's1', { token: 'wrong' })
  expect(await rig.run(nobody.ended)).toBe('UNAUTHENTICATED')
})

test('an agent whose clock is an hour off works, and the difference is shown', async () => {
  const rig = await started()
  const wallMs = rig.ports.clock.wallMs() - 3_600_000
  const agent = rig.connect('n1', 's1', { wallMs })
  await rig.run(agent.next('welcome'))
  agent.heartbeat(1)
  await rig.run(agent.next('heartbeatAck'))
  const { nodes } = await rig.run(
    rig.client().listNodes({ pageSize: 0, pageToken: '', minPosition: '' }),
  )
  expect(Number(nodes[0]?.clockSkewMs)).toBeLessThan(-3_590_000)
  expect(rig.ports.logger.lines.some((line) => line.message.includes('wall clock'))).toBe(true)
})

test('a stream that says nothing is ended, and its node is disconnected, then lost', async () => {
  const rig = await started({ leaseMs: 2_000 })
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(agent.desired(1))
  agent.report(1, [{ key: key(0), state: 'RUNNING' }])
  await rig.run(agent.next('reportAck'))
  agent.heartbeat(1)
  await rig.run(agent.next('heartbeatAck'))
  const lastSignMs = rig.ports.time.nowMs
  expect(await rig.run(agent.ended)).toBe('LEASE_EXPIRED')
  await rig.until((state) => at(state, 'n1') === 'Disconnected')
  await rig.until((state) => at(state, 'n1') === 'Lost')
  const waitedMs = rig.ports.time.nowMs - lastSignMs
  expect(waitedMs).toBeGreaterThanOrEqual(lostAfterMs(2_000))
  expect(waitedMs).toBeLessThan(lostAfterMs(2_000) + 1_500)
  const { value } = await rig.run(rig.runtime.read((state) => phase(state, 0)))
  expect(value).toMatchObject({ at: 'Exited', exit: { cause: 'NODE_LOST' } })
  const names = await rig.published()
  expect(names.filter((name) => name === 'DevicesFreed')).toEqual([])
  expect(names.slice(-3)).toEqual(['NodeChanged', 'NodeLost', 'TaskExited'])

  // Back with the same supervisor: the task is unwanted, and free when it is gone.
  const back = rig.connect('n1', 's1')
  const set = await rig.run(back.desired(0))
  back.report(
    2,
    [{ key: key(0), state: 'STOPPING' }],
    set.version === undefined ? {} : { applied: set.version },
  )
  await rig.run(back.next('reportAck'))
  expect((await rig.published()).includes('DevicesFreed')).toBe(false)
  back.report(3, [{ key: key(0), state: 'EXITED', cause: 'STOPPED' }])
  await rig.run(back.next('reportAck'))
  expect((await rig.published()).at(-1)).toBe('DevicesFreed')
  const after = await rig.run(rig.runtime.read((state) => phase(state, 0)))
  expect(after.value).toMatchObject({ at: 'Freed', exit: { cause: 'NODE_LOST' } })
})

test('heartbeats keep a node for as long as they come', async () => {
  const rig = await started({ leaseMs: 2_000 })
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  for (let number = 1; number <= 60; number += 1) {
    agent.heartbeat(number)
    expect(await rig.run(agent.next('heartbeatAck'))).toMatchObject({ number: BigInt(number) })
    await rig.ports.time.advance(700)
  }
  const { value } = await rig.run(rig.runtime.read((state) => at(state, 'n1')))
  expect(value).toBe('Ready')
})

test('a leader whose commits do not come back renews no lease', async () => {
  const rig = await started({ leaseMs: 2_000 })
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  rig.log.pause()
  agent.heartbeat(1)
  agent.report(1, [])
  await rig.ports.time.advance(1_500)
  expect([agent.waiting('heartbeatAck'), agent.waiting('reportAck')]).toEqual([0, 0])
  rig.log.resume()
  expect(await rig.run(agent.next('heartbeatAck'))).toMatchObject({ number: 1n })
})

test('a shorter lease after a restart does not cut the wait for a longer one', async () => {
  const rig = await started({ leaseMs: 20_000 })
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  agent.heartbeat(1)
  await rig.run(agent.next('heartbeatAck'))
  rig.leaseMs = 2_000
  await rig.restart(100)
  const leadingMs = rig.ports.time.nowMs
  await rig.until((state) => at(state, 'n1') === 'Lost')
  expect(rig.ports.time.nowMs - leadingMs).toBeGreaterThanOrEqual(lostAfterMs(20_000) - 100)

  // A new supervisor holds none of the old leases.
  const back = rig.connect('n1', 's2')
  await rig.run(back.desired(0))
  await rig.restart(100)
  const againMs = rig.ports.time.nowMs
  await rig.until((state) => at(state, 'n1') === 'Lost')
  expect(rig.ports.time.nowMs - againMs).toBeLessThan(lostAfterMs(2_000) + 1_500)
})

test('an outage of the control plane makes no lost node by itself', async () => {
  const rig = await started({ leaseMs: 2_000 })
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(agent.desired(1))
  agent.report(1, [{ key: key(0), state: 'RUNNING' }])
  await rig.run(agent.next('reportAck'))
  await rig.restart(120_000)
  const back = rig.connect('n1', 's1')
  await rig.run(back.desired(1))
  back.heartbeat(1)
  await rig.run(back.next('heartbeatAck'))
  const { value } = await rig.run(
    rig.runtime.read((state) => [at(state, 'n1'), phase(state, 0)?.at]),
  )
  expect(value).toEqual(['Ready', 'Running'])
  expect(await rig.published()).not.toContain('NodeLost')
})

test('a new supervisor accounts for the tasks of the old one in its first report', async () => {
  const rig = await started()
  const old = rig.connect('n1', 's1')
  await rig.run(old.desired(0))
  await rig.place('j-0-1', 1, ['n1', 'n1'])
  await rig.prepare('j-0-1', 1, 2)
  await rig.run(old.desired(2))
  old.report(
    1,
    [0, 1].map((rank) => ({ key: key(rank), state: 'RUNNING' as const })),
  )
  await rig.run(old.next('reportAck'))
  old.hangUp()
  await rig.until((state) => at(state, 'n1') === 'Disconnected')
  const anew = rig.connect('n1', 's2')
  expect((await rig.run(anew.desired(0))).assignments).toEqual([])
  anew.report(1, [{ key: key(1), state: 'EXITED', cause: 'NODE_SHUTDOWN', exitCode: -1 }])
  await rig.run(anew.next('reportAck'))
  const { value } = await rig.run(
    rig.runtime.read((state) => [0, 1].map((rank) => phase(state, rank))),
  )
  expect(value).toMatchObject([
    { at: 'Freed', exit: { cause: 'SUPERVISOR_LOST' } },
    { at: 'Freed', exit: { cause: 'NODE_SHUTDOWN' } },
  ])
})

test('a new supervisor that reports nothing for a lease holds nothing of the old one', async () => {
  const rig = await started({ leaseMs: 2_000 })
  const old = rig.connect('n1', 's1')
  await rig.run(old.desired(0))
  await rig.place('j-0-1', 1, ['n1'])
  await rig.prepare('j-0-1', 1, 1)
  await rig.run(old.desired(1))
  old.hangUp()
  await rig.until((state) => at(state, 'n1') === 'Disconnected')
  const anew = rig.connect('n1', 's2')
  await rig.run(anew.desired(0))
  for (let number = 1; number <= 6; number += 1) {
    anew.heartbeat(number)
    await rig.run(anew.next('heartbeatAck'))
    await rig.ports.time.advance(600)
  }
  await rig.until((state) => phase(state, 0)?.at === 'Freed')
})

test('a stream without a Hello is ended', async () => {
  const rig = await started()
  const agent = rig.connect('N1 is no label', 's1', { token: 'token-n1' })
  expect(await rig.run(agent.ended)).toBe('INVALID_HELLO')
})
