import { type AddressInfo, createServer, type Server } from 'node:net'
import { Connection, fetchV17, listOffsetsV9, metadataV12 } from '@platformatic/kafka'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { RecordingLogger } from '@serverless-ai/kernel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { kafkaTarget } from './connection.ts'
import { KafkaReader } from './reader.ts'
import { checkTopics, planTopics } from './topics.ts'
import { KafkaWire } from './wire.ts'

const ports = { clock: systemClock, timers: systemTimers, logger: new RecordingLogger() }
const at = { topic: 'log', partition: 0 }

/** A broker that was cut off from the others, not from us, when the log ended at 50. */
const CUT_OFF = 1
/** Leads since then; the log ends at 100. */
const LEADER = 2
const endBy = (broker: number): number => (broker === CUT_OFF ? 50 : 100)
/** Of all brokers, when the whole cluster has been restored from a copy. */
let restored: number | undefined
const epochBy = (broker: number): number => restored ?? (broker === CUT_OFF ? 5 : 6)

const refusal = (code: string) => Object.assign(new Error(code), { apiId: code })

describe('a leader that was cut off from the others', () => {
  const addresses = new WeakMap<Connection, number>()
  let asked: string[]
  let hung: number | undefined

  const brokerOf = (connection: Connection): number => addresses.get(connection) ?? 0
  /** Brokers know each other's epochs, or the newest one does. */
  function checkEpoch(broker: number, epoch: number): void {
    if (epoch > epochBy(broker)) throw refusal('UNKNOWN_LEADER_EPOCH')
    if (epoch >= 0 && epoch < epochBy(broker)) throw refusal('FENCED_LEADER_EPOCH')
  }

  beforeEach(() => {
    asked = []
    restored = undefined
    hung = undefined
    vi.spyOn(Connection.prototype, 'connect').mockImplementation(async function (
      this: Connection,
      _host: string,
      port: number,
    ) {
      addresses.set(this, port)
    } as Connection['connect'])
    vi.spyOn(Connection.prototype, 'close').mockResolvedValue(undefined as never)
    vi.spyOn(metadataV12.api, 'async').mockImplementation(async (connection, topics) => {
      const broker = brokerOf(connection)
      asked.push(`who leads: ${broker}`)
      if (broker === hung) return new Promise(() => undefined)
      const leaderId = broker === CUT_OFF && restored === undefined ? CUT_OFF : LEADER
      const partitions = [{ partitionIndex: 0, leaderId, leaderEpoch: epochBy(broker) }]
      const brokers = [1, 2, 3].map((nodeId) => ({ nodeId, host: `k${nodeId}`, port: nodeId }))
      return {
        brokers,
        topics: (topics ?? []).map((name) => ({ name, topicId: 't', partitions })),
      } as never
    })
    vi.spyOn(fetchV17.api, 'async').mockImplementation(async (connection, ...rest) => {
      const broker = brokerOf(connection)
      const partition = rest[6][0]!.partitions[0]!
      checkEpoch(broker, partition.currentLeaderEpoch)
      asked.push(`read: ${broker}`)
      const end = BigInt(endBy(broker))
      if (partition.fetchOffset > end) throw refusal('OFFSET_OUT_OF_RANGE')
      const found = { logStartOffset: 0n, highWatermark: end, lastStableOffset: end, records: [] }
      return { responses: [{ partitions: [found] }] } as never
    })
    vi.spyOn(listOffsetsV9.api, 'async').mockImplementation(async (connection, ...rest) => {
      const broker = brokerOf(connection)
      const { timestamp, currentLeaderEpoch } = rest[2][0]!.partitions[0]!
      checkEpoch(broker, currentLeaderEpoch)
      const offset = timestamp === -2n ? 0n : BigInt(endBy(broker))
      return { topics: [{ partitions: [{ offset }] }] } as never
    })
  })
  afterEach(() => vi.restoreAllMocks())

  const open = () => new KafkaWire(kafkaTarget({ brokers: ['k1:1', 'k2:2', 'k3:3'] }))

  it('is not believed once a newer one was heard of', async () => {
    const wire = open()
    const reader = new KafkaReader({
      ports,
      wire,
      patienceMs: 1_000,
      closing: new AbortController().signal,
    })
    // Any broker may be the first that is asked; the newest has to have been heard once.
    await wire.range(at)
    for (let n = 0; n < 30; n += 1) {
      const read = await reader.fetch(at, { from: 100, maxBytes: 1_000, waitMs: 2, stop() {} })
      expect(read).toEqual({ records: [], start: 0, end: 100 })
    }
    expect(asked).toContain('who leads: 1')
    expect(asked).not.toContain('read: 1')
  })

  it('does not tell where the log ends', async () => {
    for (let n = 0; n < 10; n += 1) {
      const wire = open()
      for (let turn = 0; turn < n; turn += 1) await wire.brokerCount()
      expect(await wire.range(at)).toEqual({ start: 0, end: 100 })
    }
  })

  it('is the leader where all brokers say so: they were restored from a copy', async () => {
    const wire = open()
    await wire.range(at)
    restored = 3
    expect(await wire.range(at)).toEqual({ start: 0, end: 100 })
    expect(await wire.leader(at)).toMatchObject({ host: 'k2' })
  })

  it('is not waited for where it was silent the last time', async () => {
    const wire = open()
    await wire.range(at)
    // It knows less than the others, and so counts as silent.
    hung = CUT_OFF
    expect(await wire.range(at)).toEqual({ start: 0, end: 100 })
    expect(asked.at(-1)).not.toBe('who leads: 1')
  })
})

describe('a broker that takes connections and answers nothing', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** Counts connections; `answers`: the first byte ends them, else they hang. */
  async function broker(answers: boolean): Promise<{ port: number; seen: number }> {
    const about = { port: 0, seen: 0 }
    const server = createServer((socket) => {
      about.seen += 1
      socket.on('error', () => undefined)
      if (answers) socket.once('data', () => socket.destroy())
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    about.port = (server.address() as AddressInfo).port
    server.unref()
    return about
  }

  it('does not keep topics from being checked by another one', async () => {
    const brokers = [await broker(false), await broker(true), await broker(true)]
    const checking = checkTopics(
      {
        brokers: brokers.map(({ port }) => `127.0.0.1:${port}`),
        connectTimeoutMs: 200,
        requestTimeoutMs: 1_000,
        ports,
      },
      planTopics({ services: ['mediator'] }),
    )
    await expect(checking).rejects.toMatchObject({ code: 'UNREACHABLE' })
    expect(brokers.map(({ seen }) => seen > 0)).toEqual([true, true, true])
  })
})
