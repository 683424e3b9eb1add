// Three brokers with TLS, SCRAM and ACLs: the contract of the log on them, and who is let in.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { EventLog } from '@serverless-ai/eventlog'
import { type KafkaConnection, openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { eventLogContract } from '@serverless-ai/eventlog/testing/contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterAdmin } from '../../support/kafka-admin.ts'
import { type BrokerCluster, startCluster } from '../../support/kafka-cluster.ts'
import { PATIENT } from '../../support/kafka-settings.ts'
import { quietPorts } from '../../support/quiet-ports.ts'
import { saiAdmin } from './admin-cli.ts'
import { EVENTS, LOG, makeLog, meansHere } from './cluster.ts'

const { jars } = await meansHere()
const CELLS = 4
const entry = { key: 'k', headers: {}, value: Buffer.from('x') }

let cluster: BrokerCluster
let directory = ''
const open = (connection: KafkaConnection): Promise<EventLog> =>
  openKafkaLog({ requestTimeoutMs: 20_000, ...connection, ports: quietPorts })

if (jars !== '') {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kafka-access-'))
    const users = ['platform', 'reader', 'stranger', 'operator']
    cluster = await startCluster({ jars, brokers: 3, security: 'acls', users, settings: PATIENT })
    const admin = clusterAdmin(cluster.connection)
    const all = ['READ', 'WRITE', 'DESCRIBE', 'DELETE'] as const
    // By prefix, as operators do: the names of topics to come are covered.
    await admin.grant({ user: 'platform', topics: 'contract-', operations: all })
    await admin.grant({
      user: 'operator',
      topics: 'staging.serverlessai.',
      operations: ['CREATE', 'DESCRIBE', 'ALTER', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'],
    })
    await admin.grant({ user: 'reader', topics: 'contract-', operations: ['READ', 'DESCRIBE'] })
  }, 300_000)
  afterAll(async () => {
    await cluster?.stop()
    if (directory !== '') rmSync(directory, { recursive: true, force: true })
  }, 180_000)

  eventLogContract('kafka on three brokers with TLS, SCRAM and ACLs', async () => {
    const topicPrefix = `contract-${randomBytes(6).toString('hex')}.`
    const asAdmin = { ...cluster.connection, topicPrefix, requestTimeoutMs: 20_000 }
    const make = async () => {
      await makeLog(asAdmin, { replication: 3, cells: CELLS, events: true })
    }
    const admin = clusterAdmin(asAdmin)
    const remove = async () => {
      for (const topic of [LOG.topic, EVENTS]) await admin.deleteTopic(`${topicPrefix}${topic}`)
    }
    await make()
    const opening = () => open({ ...cluster.as('platform'), topicPrefix })
    return {
      exact: true,
      open: opening,
      reopen: opening,
      outside: {
        async expire(log, below) {
          const other = await opening()
          await other.trim(LOG, below)
          await other.close()
          return log
        },
        async restore(log, end) {
          const other = await opening()
          const { records } = await other.fetch(LOG, { from: 0, maxBytes: 1 << 20, waitMs: 0 })
          await remove()
          await make()
          for (const record of records.slice(0, end)) await other.append(LOG, [record])
          await other.close()
          return log
        },
      },
      dispose: remove,
    }
  })
}

describe.skipIf(jars === '')('who is let into a secured cluster', () => {
  let topicPrefix = ''
  beforeAll(async () => {
    topicPrefix = 'contract-access.'
    const patient = { ...cluster.connection, topicPrefix, requestTimeoutMs: 20_000 }
    await makeLog(patient, { replication: 3 })
  }, 180_000)

  it.each(['scram-sha-512', 'scram-sha-256'] as const)('a user by %s', async (mechanism) => {
    const { sasl, ...rest } = cluster.as('platform')
    if (sasl === undefined) throw new Error('no user')
    const log = await open({ ...rest, topicPrefix, sasl: { ...sasl, mechanism } })
    const { position } = await log.append(LOG, [entry])
    const { records } = await log.fetch(LOG, { from: position, maxBytes: 100, waitMs: 0 })
    expect(records[0]?.key).toBe('k')
    await log.close()
  })

  it('reads without the right to write, and is told so', async () => {
    const log = await open({ ...cluster.as('reader'), topicPrefix })
    expect(await log.range(LOG)).toMatchObject({ start: 0 })
    await expect(log.append(LOG, [entry])).rejects.toMatchObject({
      name: 'AppendRefusedError',
      code: 'READ_ONLY',
    })
    await expect(log.trim(LOG, 1)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    await log.close()
  })

  it('nobody without an ACL: neither reads nor writes, and no topic looks missing', async () => {
    const log = await open({ ...cluster.as('stranger'), topicPrefix })
    await expect(log.range(LOG)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    const reading = log.fetch(LOG, { from: 0, maxBytes: 100, waitMs: 0 })
    await expect(reading).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    await expect(log.append(LOG, [entry])).rejects.toMatchObject({ code: 'READ_ONLY' })
    await log.close()
  })

  it('nobody with a wrong password or an unknown authority', async () => {
    const { sasl, ...rest } = cluster.as('platform')
    if (sasl === undefined) throw new Error('no user')
    const wrong = open({ ...rest, sasl: { ...sasl, password: 'wrong' } })
    await expect(wrong).rejects.toMatchObject({ code: 'NOT_AUTHENTICATED' })
    const distrust = open({ ...cluster.as('platform'), tls: {} })
    await expect(distrust).rejects.toMatchObject({ code: 'TLS_FAILED' })
  })

  describe('with sai admin topics', () => {
    const file = (name: string, text: string): string => {
      const path = join(directory, name)
      writeFileSync(path, text, { mode: 0o600 })
      return path
    }
    const topics = (user: string, verb: string, password = cluster.as(user).sasl?.password ?? '') =>
      saiAdmin([
        ...['topics', verb, '--json', '--kafka', cluster.as(user).brokers.join(',')],
        ...['--kafka.topic-prefix', 'staging.', '--kafka.sasl.username', user],
        ...['--kafka.sasl.password-file', file(`${user}.password`, `${password}\n`)],
        ...['--kafka.tls.ca', file('ca.crt', cluster.as(user).tls?.ca ?? '')],
      ])

    it('plans, makes and checks', async () => {
      const planned = await topics('operator', 'plan')
      expect(planned.status).toBe(0)
      expect(planned.json.topics).toHaveLength(2 * SERVICE_NAMES.length + 1)
      expect(planned.json.findings).toHaveLength(2 * SERVICE_NAMES.length + 1)
      expect(planned.json.durability).toContain('loss of one broker')
      expect((await topics('operator', 'check')).status).toBe(1)
      expect((await topics('operator', 'apply')).status).toBe(0)
      const checked = await topics('operator', 'check')
      expect(checked).toMatchObject({ status: 0, json: { findings: [] } })
    })

    it('says who is refused, and why', async () => {
      const refused = await topics('stranger', 'check')
      expect([refused.status, refused.reason]).toEqual([3, 'KAFKA_NOT_AUTHORIZED'])
      const unknown = await topics('operator', 'apply', 'wrong')
      expect([unknown.status, unknown.reason]).toEqual([3, 'KAFKA_NOT_AUTHENTICATED'])
      expect(unknown.error).not.toContain('wrong')
    })
  })
})
