import { systemTimers } from '@serverless-ai/kernel/system'
import kafkajs from 'kafkajs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EventLog, type LogEntry, LogOutOfRangeError } from '../port.ts'
import { FaultyLine } from '../testing/faulty-line.ts'
import { type FreshTopics, kafkaCluster } from '../testing/kafka.ts'
import { kafkaTarget } from './connection.ts'
import { LogGapError } from './errors.ts'
import { KafkaWire } from './wire.ts'

const cluster = kafkaCluster()
const address = { topic: 'serverlessai.log.contract.v1', partition: 0 }
const entry = (text: string): LogEntry => ({ key: '', headers: {}, value: Buffer.from(text) })
const from = (position: number, waitMs = 0) => ({ from: position, maxBytes: 1 << 20, waitMs })

describe.skipIf(cluster === undefined)('reads from Kafka', () => {
  let topics: FreshTopics
  let log: EventLog

  beforeEach(async () => {
    topics = await cluster!.freshTopics()
    log = await topics.open({ requestTimeoutMs: 2000 })
  })
  afterEach(async () => {
    await log.close()
    await topics.remove()
  })

  const name = () => `${topics.topicPrefix}${address.topic}`
  const append = async (count: number, to = log): Promise<void> => {
    for (let n = 0; n < count; n += 1) await to.append(address, [entry(`${n}`)])
  }

  it('raises for readers that retention has overtaken, and moves none of them', async () => {
    await append(10)
    const wire = new KafkaWire(kafkaTarget({ brokers: cluster!.brokers }))
    try {
      await wire.setTopicConfig(name(), { 'retention.ms': '1' })
      while ((await log.range(address)).start < 10) await systemTimers.sleep(50)
    } finally {
      wire.close()
    }
    for (const position of [0, 9]) {
      const read = log.fetch(address, from(position))
      await expect(read).rejects.toMatchObject({ name: 'LogOutOfRangeError', start: 10, end: 10 })
    }
    expect(await log.fetch(address, from(10))).toEqual({ records: [], start: 10, end: 10 })
  })

  it('raises for readers of a log that is shorter than it was', async () => {
    await append(10)
    const waiting = expect(log.fetch(address, from(10, 60_000))).rejects.toThrow(LogOutOfRangeError)
    // Restored from an older backup: the same topic with less in it.
    await topics.remove()
    await topics.make()
    const restored = await topics.open()
    await append(6, restored)
    await waiting
    await expect(log.fetch(address, from(7))).rejects.toMatchObject({ start: 0, end: 6 })
    expect((await log.fetch(address, from(5))).records).toHaveLength(1)
    await restored.close()
  })

  it('raises for positions that hold marks of transactions instead of records', async () => {
    await append(2)
    const client = new kafkajs.Kafka({ brokers: [...cluster!.brokers], logLevel: 0 })
    const producer = client.producer({ transactionalId: topics.topicPrefix, idempotent: true })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic: name(), messages: [{ partition: 0, value: 'foreign' }] })
    await transaction.commit()
    await producer.disconnect()
    // The mark comes after the commit was answered.
    const atEnd = log.fetch(address, from(3, 60_000))
    await expect(atEnd).rejects.toThrow(LogGapError)
    await append(1)
    // Records before it are still given; the gap is the next read's.
    expect((await log.fetch(address, from(0))).records.map((each) => each.position)).toEqual([
      0, 1, 2,
    ])
    await expect(log.fetch(address, from(3))).rejects.toMatchObject({
      name: 'LogGapError',
      start: 4,
      end: 5,
    })
  })

  it('says which topic is missing and makes none', async () => {
    const missing = { topic: 'serverlessai.log.nobody.v1', partition: 0 }
    const mend = /sai admin topics apply/
    await expect(log.append(missing, [entry('x')])).rejects.toMatchObject({
      name: 'AppendRefusedError',
      code: 'IO',
      message: expect.stringMatching(mend),
    })
    const told = { code: 'TOPIC_MISSING', message: expect.stringMatching(mend) }
    await expect(log.fetch(missing, from(0))).rejects.toMatchObject(told)
    await expect(log.range({ ...address, partition: 99 })).rejects.toMatchObject(told)
    await expect(log.append({ ...address, partition: 99 }, [entry('x')])).rejects.toMatchObject({
      code: 'IO',
      message: expect.stringMatching(mend),
    })
    const admin = await topics.admin()
    expect(await admin.find([`${topics.topicPrefix}${missing.topic}`])).toEqual([])
    await admin.close()
  })

  it('goes on by itself when the line breaks for a moment while it waits', async () => {
    const line = await FaultyLine.start(cluster!.brokers, systemTimers)
    const over = await topics.open({ dial: line.dial, requestTimeoutMs: 2000 })
    const waiting = over.fetch(address, from(0, 60_000))
    line.cut()
    await append(1)
    line.mend()
    expect((await waiting).records).toHaveLength(1)
    line.cut()
    await expect(over.fetch(address, from(1))).rejects.toMatchObject({ code: 'UNREACHABLE' })
    line.mend()
    expect((await over.fetch(address, from(0))).records).toHaveLength(1)
    await over.close()
    await line.close()
  })

  it('wants a broker that answers when it is opened', async () => {
    const opened = topics.open({ brokers: ['127.0.0.1:1'] })
    await expect(opened).rejects.toMatchObject({ name: 'KafkaLogError', code: 'UNREACHABLE' })
    await expect(opened).rejects.toThrow('127.0.0.1:1')
  })

  it('reads many waits of many partitions at once', async () => {
    const addresses = [0, 1, 2, 3].flatMap((partition) => [
      { topic: address.topic, partition },
      { topic: 'serverlessai.events.contract.v1', partition },
    ])
    const waiting = addresses.map((each) => log.fetch(each, from(0, 60_000)))
    const writer = await topics.open()
    // Each is answered as soon as its own record is there, whoever else waits.
    for (const [index, each] of addresses.entries()) {
      await writer.append(each, [entry(`${index}`)])
      const { records } = await waiting[index]!
      expect(Buffer.from(records[0]!.value).toString()).toBe(`${index}`)
    }
    await writer.close()
  })

  it('needs no consumer group', async () => {
    await append(3)
    await log.fetch(address, from(0))
    const client = new kafkajs.Kafka({ brokers: [...cluster!.brokers], logLevel: 0 })
    const admin = client.admin()
    await admin.connect()
    expect((await admin.listGroups()).groups).toEqual([])
    await admin.disconnect()
  })
})
