import { type EventLog, type LogEntry, logTopic } from '@serverless-ai/eventlog'
import { applyTopics, openKafkaLog, planTopics } from '@serverless-ai/eventlog/kafka'
import type { KafkaBroker } from '../../support/kafka-broker.ts'
import { quietPorts as ports } from '../../support/quiet-ports.ts'

const SERVICE = 'bench-warm-up'
const ADDRESS = { topic: logTopic(SERVICE), partition: 0 }
/**
 * A broker's JVM needs about so many appends until its compilers are done: the first thousand take
 * eight times the CPU of later ones. Brokers at work have run for weeks.
 */
export const WARM_UP_APPENDS = 8_000
const VALUE_BYTES = 600

/** Appends and reads on a topic of its own until the broker is as quick as it gets. */
export async function warmUp({ brokers }: KafkaBroker): Promise<void> {
  const connection = { brokers: brokers.split(','), topicPrefix: `bench-${process.pid}.`, ports }
  await applyTopics(connection, planTopics({ services: [SERVICE], replication: 1 }))
  const log = await openKafkaLog(connection)
  try {
    const { end } = await log.range(ADDRESS)
    await Promise.all([append(log), read(log, end)])
  } finally {
    await log.close()
  }
}

async function append(log: EventLog): Promise<void> {
  const entry: LogEntry = { key: '', headers: {}, value: Buffer.alloc(VALUE_BYTES, 7) }
  for (let left = WARM_UP_APPENDS; left > 0; left -= 1) await log.append(ADDRESS, [entry])
}

async function read(log: EventLog, start: number): Promise<void> {
  for (let from = start; from < start + WARM_UP_APPENDS; ) {
    const { records } = await log.fetch(ADDRESS, { from, maxBytes: 1 << 20, waitMs: 1_000 })
    from += records.length
  }
}
