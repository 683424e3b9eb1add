import { describe, expect, it } from 'vitest'
import { kafkaCluster } from '../testing/kafka.ts'

const cluster = kafkaCluster()
const secure = cluster?.secure
const address = { topic: 'serverlessai.log.contract.v1', partition: 0 }
const entry = { key: 'k', headers: {}, value: Buffer.from('x') }

// A broker that was given or runs in a container has no listener whose secrets the suite knows.
describe.skipIf(secure === undefined)('Kafka with TLS and SCRAM', () => {
  const { brokers = '', ca = '', username = '', password = '' } = secure ?? {}
  const sasl = { mechanism: 'scram-sha-512', username, password } as const
  const settings = { brokers: [brokers], tls: { ca }, sasl, requestTimeoutMs: 2000 }

  it('writes, reads and trims', async () => {
    const topics = await cluster!.freshTopics()
    const log = await topics.open(settings)
    expect(await log.append(address, [entry, entry])).toEqual({ position: 0 })
    await log.trim(address, 1)
    const { records, start } = await log.fetch(address, { from: 1, maxBytes: 100, waitMs: 0 })
    expect([start, records[0]!.key, records[0]!.position]).toEqual([1, 'k', 1])
    await log.close()
    await topics.remove()
  })

  it.each([
    ['an unknown authority', { tls: {} }],
    ['a certificate for another name', { tls: { ca, servername: 'elsewhere.test' } }],
    ['a wrong password', { sasl: { ...sasl, password: 'wrong' } }],
  ])('refuses %s', async (_, wrong) => {
    const topics = await cluster!.freshTopics()
    const opened = topics.open({ ...settings, ...wrong })
    await expect(opened).rejects.toMatchObject({ name: 'KafkaLogError' })
    await topics.remove()
  })
})
