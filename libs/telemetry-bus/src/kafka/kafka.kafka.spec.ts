import { randomBytes } from 'node:crypto'
import { applyTopics, type KafkaLogOptions, planTopics } from '@serverless-ai/eventlog/kafka'
import { kafkaCluster } from '@serverless-ai/eventlog/testing/kafka'
import type { Logger } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { describe, expect, it } from 'vitest'
import type { TelemetryBus } from '../port.ts'
import { batchOf, telemetryBusContract } from '../testing/contract.ts'
import { openKafkaBus } from './open.ts'

const cluster = kafkaCluster()
const quiet: Logger = { log: () => undefined, child: () => quiet }
const ports = { clock: systemClock, timers: systemTimers, logger: quiet }

/** A topic of measurements that only one test uses. */
async function freshTopic(): Promise<KafkaLogOptions> {
  const topicPrefix = `t${randomBytes(6).toString('hex')}.`
  const connection = { brokers: cluster?.brokers ?? [], topicPrefix, ports }
  const plan = planTopics({ services: [], cells: 2, replication: 1, telemetry: true })
  expect(await applyTopics(connection, plan)).toEqual([])
  return connection
}

/** Publishes until the reader has something: what it got first. */
async function firstOf(from: TelemetryBus, to: TelemetryBus) {
  const reader = to.subscribe()[Symbol.asyncIterator]()
  const first = reader.next()
  let there = false
  void first.then(() => {
    there = true
  })
  for (let seq = 1; !there; seq += 1) {
    from.publish(batchOf('node/n1', seq))
    await systemTimers.sleep(20)
  }
  return { reader, first: await first }
}

if (cluster !== undefined) {
  telemetryBusContract('kafka', async () => {
    const connection = await freshTopic()
    return {
      open: () => openKafkaBus({ ...connection, partition: 1 }),
      dispose: async () => undefined,
    }
  })
}

describe.skipIf(cluster === undefined)('telemetry bus on Kafka', () => {
  it('carries batches from one process to another, and not into other cells', async () => {
    const connection = await freshTopic()
    const [gateway, judge, elsewhere] = [0, 0, 1].map((partition) =>
      openKafkaBus({ ...connection, partition }),
    ) as [TelemetryBus, TelemetryBus, TelemetryBus]
    const other = elsewhere.subscribe()
    const { first } = await firstOf(gateway, judge)
    expect(first.value?.batch.source).toBe('node/n1')
    for (const bus of [gateway, judge, elsewhere]) await bus.close()
    expect(other.counts.received).toBe(0)
    expect(gateway.counts.lost).toBe(0)
  })

  it('goes on when the topic comes later, and says what was lost meanwhile', async () => {
    const topicPrefix = `t${randomBytes(6).toString('hex')}.`
    const lines: string[] = []
    const logger: Logger = { log: (_, message) => lines.push(message), child: () => logger }
    const connection = {
      ...{ brokers: cluster?.brokers ?? [], topicPrefix, requestTimeoutMs: 1_000 },
      ports: { ...ports, logger },
    }
    const bus = openKafkaBus({ ...connection, partition: 0 })
    expect(bus.publish(batchOf('node/n1', 1))).toBe('sent')
    while (bus.counts.lost === 0) await systemTimers.sleep(20)
    const plan = planTopics({ services: [], replication: 1, telemetry: true })
    await applyTopics({ ...connection, ports }, plan)
    await firstOf(bus, bus)
    await bus.close()
    expect(lines).toContain('measurements are lost')
    expect(lines).toContain('measurements arrive again')
  })
})
