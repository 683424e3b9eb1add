// One broker with TLS and SCRAM: a log, a telemetry bus and a reader of public events on it, and
// what they refuse. It is a broker of this file's own, whichever the other suites have: one that
// was given or runs in a container has no listener whose secrets are known here.
import { kafkaEvents } from '@serverless-ai/client/kafka'
import { TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import {
  applyTopics,
  type KafkaConnection,
  openKafkaLog,
  planTopics,
} from '@serverless-ai/eventlog/kafka'
import { systemTimers } from '@serverless-ai/kernel/system'
import { openKafkaBus } from '@serverless-ai/telemetry-bus/kafka'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrokerCluster, startCluster } from '../../support/kafka-cluster.ts'
import { PATIENT } from '../../support/kafka-settings.ts'
import { quietPorts } from '../../support/quiet-ports.ts'
import { jarsHere, LOG, makeLog, SERVICE } from './cluster.ts'

const jars = await jarsHere('TLS and SCRAM')
const USER = 'contract'
const entry = { key: 'k', headers: {}, value: Buffer.from('x') }

describe.skipIf(jars === '')('Kafka with TLS and SCRAM', () => {
  let cluster: BrokerCluster
  let secure: KafkaConnection

  beforeAll(async () => {
    const options = { jars, brokers: 1, security: 'both', users: [USER] } as const
    cluster = await startCluster({ ...options, settings: PATIENT })
    const user = cluster.as(USER)
    // By name here, and by address in what the broker tells of itself: the certificate has both.
    const brokers = user.brokers.map((broker) => broker.replace(/^.*:/, 'localhost:'))
    secure = { ...user, brokers, connectTimeoutMs: 20_000, requestTimeoutMs: 20_000 }
  }, 300_000)
  afterAll(() => cluster?.stop(), 60_000)

  it('writes, reads and trims a log', async () => {
    await makeLog(cluster.connection, { replication: 1 })
    const log = await openKafkaLog({ ...secure, ports: quietPorts })
    expect(await log.append(LOG, [entry, entry])).toEqual({ position: 0 })
    await log.trim(LOG, 1)
    const { records, start } = await log.fetch(LOG, { from: 1, maxBytes: 100, waitMs: 0 })
    expect([start, records[0]!.key, records[0]!.position]).toEqual([1, 'k', 1])
    await log.close()
  })

  it.each([
    ['an unknown authority', 'TLS_FAILED', () => ({ tls: {} })],
    [
      'a certificate for another name',
      'TLS_FAILED',
      () => ({ tls: { ...secure.tls, servername: 'elsewhere.test' } }),
    ],
    [
      'a wrong password',
      'NOT_AUTHENTICATED',
      () => ({ sasl: { ...secure.sasl!, password: 'wrong' } }),
    ],
  ])('refuses %s', async (_, code, wrong) => {
    const opened = openKafkaLog({ ...secure, ...wrong(), ports: quietPorts })
    await expect(opened).rejects.toMatchObject({ name: 'KafkaLogError', code })
  })

  it('carries measurements', async () => {
    const plan = planTopics({ services: [], replication: 1, telemetry: true })
    expect(await applyTopics({ ...cluster.connection, ports: quietPorts }, plan)).toEqual([])
    const bus = openKafkaBus({ ...secure, partition: 0, ports: quietPorts })
    const reader = bus.subscribe()[Symbol.asyncIterator]()
    const first = reader.next()
    let there = false
    first
      .catch(() => undefined)
      .then(() => {
        there = true
      })
    // It reads what comes once it has begun, and nobody says when that is.
    for (let seq = 1n; !there; seq += 1n) {
      bus.publish(TelemetryBatch.fromPartial({ source: 'node/n1', bootId: 'b1', seq }))
      await systemTimers.sleep(20)
    }
    expect((await first).value?.batch.source).toBe('node/n1')
    await bus.close()
  })

  it('shows public events to nobody with a wrong password', async () => {
    const kafka = new kafkajs.Kafka({
      brokers: [...secure.brokers],
      ssl: { ca: secure.tls!.ca! },
      sasl: { mechanism: 'scram-sha-512', username: USER, password: 'wrong' },
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 1, initialRetryTime: 50 },
    })
    const source = kafkaEvents({ kafka, service: SERVICE, partition: 0 })
    const pieces = source.read({ seq: 0, offset: -1 }, new AbortController().signal)
    const first = pieces[Symbol.asyncIterator]().next()
    await expect(first).rejects.toMatchObject({ name: 'SourceError', passing: false })
  })
})
