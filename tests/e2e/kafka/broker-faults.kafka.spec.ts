import type { EventLog } from '@serverless-ai/eventlog'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type BrokerCluster, startCluster } from '../../support/kafka-cluster.ts'
import { LOG, makeLog, meansHere, open, SERVICE } from './cluster.ts'
import { lies, readAll, Witness } from './witness.ts'

const means = await meansHere()
const { jars, network, disks } = means
const DISK_MIB = 96
/** Nothing is concluded from how long anything takes: brokers start many times, beside others. */
const PATIENCE_MS = 240_000
vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS })

describe.skipIf(jars === '')('three brokers, one of which fails while a writer appends', () => {
  let cluster: BrokerCluster
  let log: EventLog
  let witness: Witness
  let run = 0
  /** Topics of its own for each test: no test suffers from the one before. */
  let connection: BrokerCluster['connection']
  let topic = ''

  beforeAll(async () => {
    const disk = disks ? { diskMib: DISK_MIB } : {}
    // Small segments, so that a small disk holds several.
    const settings = { 'log.segment.bytes': 1 << 24, 'log.index.size.max.bytes': 1 << 20 }
    cluster = await startCluster({ jars, brokers: 3, network, settings, ...disk })
  })
  afterAll(() => cluster?.stop())

  beforeEach(async () => {
    run += 1
    connection = { ...cluster.connection, topicPrefix: `faults-${run}.` }
    topic = `faults-${run}.${LOG.topic}`
    await cluster.up()
    await makeLog(connection, { replication: 3 })
    await cluster.whole(topic, 0)
    log = await open(connection)
    witness = new Witness(log, LOG)
    witness.start()
    await witness.progress(20)
  })
  afterEach(async () => {
    // One test that fails shall not make the others fail: neither by its writer nor by its fault.
    await Promise.allSettled([witness?.end(), log?.close()])
    for (const node of cluster.nodes) {
      node.resume()
      node.freeDisk()
      if (network) await node.reconnect()
      if (!node.running) node.start()
    }
  })

  /** Ends the writer and holds it and its reader to what the log says. */
  const settle = async (): Promise<void> => {
    await cluster.whole(topic, 0)
    await witness.progress(20)
    const testimony = await witness.end()
    const other = await open(connection)
    try {
      expect(lies(testimony, await readAll(other, LOG))).toEqual([])
    } finally {
      await other.close()
    }
  }

  it('goes on when the leader is killed, and when it comes back', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    await leader.kill()
    await witness.progress(50)
    leader.start()
    await settle()
  })

  it('goes on when the leader hangs, and nothing that it held back counts twice', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    leader.pause()
    await witness.progress(50)
    expect(witness.unknown).toBeGreaterThan(0)
    leader.resume()
    await settle()
  })

  it.skipIf(!network)('goes on when the leader is cut off from everybody', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    await leader.cutOff()
    await witness.progress(50)
    await leader.reconnect()
    await settle()
  })

  it.skipIf(!network)('believes no leader that is cut off from the other brokers', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    const others = cluster.nodes.filter((node) => node !== leader)
    await leader.cutFrom(others.map(({ host }) => host))
    await witness.progress(50)
    const { end } = await log.range(LOG)
    const alone = connection.brokers.filter((broker) => broker.includes(leader.host))
    for (let turn = 0; turn < 6; turn += 1) {
      const fresh = await open({ ...connection, brokers: alone })
      expect((await fresh.range(LOG)).end).toBeGreaterThanOrEqual(end)
      await fresh.fetch(LOG, { from: end, maxBytes: 1, waitMs: 100 })
      await fresh.close()
    }
    await leader.reconnect()
    await settle()
  })

  it('loses nothing while all brokers are restarted in turn', async () => {
    for (const node of cluster.nodes) {
      await node.stop()
      await witness.progress(10)
      node.start()
      await cluster.whole(topic, 0)
    }
    await settle()
  })

  it.skipIf(!disks)('goes on when the disk of the leader is full', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    leader.fillDisk()
    await leader.ended()
    await witness.progress(20)
    leader.freeDisk()
    leader.start()
    await settle()
  })

  it('refuses while too few copies are in sync, and goes on when they are back', async () => {
    const leader = await cluster.leaderOf(topic, 0)
    const others = cluster.nodes.filter((node) => node !== leader)
    await Promise.all(others.map((node) => node.kill()))
    // One of three controllers is no quorum, and one copy is less than two in sync.
    const stuck = witness.count
    await expect
      .poll(() => witness.refused.length + witness.unknown, { timeout: PATIENCE_MS, interval: 50 })
      .toBeGreaterThan(2)
    expect(witness.count).toBeLessThanOrEqual(stuck + 1)
    for (const node of others) node.start()
    await settle()
  })
})

describe.skipIf(jars === '' || !disks)('one broker whose disk is full', () => {
  it('refuses, loses nothing, and takes appends again when there is room', async () => {
    const cluster = await startCluster({ jars, brokers: 1, diskMib: DISK_MIB })
    const log = await open(cluster.connection).catch(async (error: unknown) => {
      await cluster.stop()
      throw error
    })
    try {
      const [node] = cluster.nodes
      await makeLog(cluster.connection, { replication: 1 })
      const witness = new Witness(log, LOG, 20_000)
      witness.start()
      await witness.progress(20)
      node!.fillDisk()
      await node!.ended()
      const refused = () => witness.refused.length
      await expect.poll(refused, { timeout: PATIENCE_MS, interval: 50 }).toBeGreaterThan(0)
      expect(witness.refused[0]).toContain(SERVICE)
      node!.freeDisk()
      node!.start()
      await cluster.whole(LOG.topic, 0)
      await witness.progress(20)
      const testimony = await witness.end()
      expect(lies(testimony, await readAll(log, LOG))).toEqual([])
    } finally {
      await log.close()
      await cluster.stop()
    }
  })
})
