import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type KafkaConfig, kafkaSettings } from '@serverless-ai/config'
import { type EventLog, type LogRecord, openSqliteLog } from '@serverless-ai/eventlog'
import { openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { serviceProcesses } from './environment.ts'
import { quietPorts } from './quiet-ports.ts'

const PARTITION = 0
const FETCH_BYTES = 4 * 1024 * 1024

/** The log of a platform: on Kafka where its processes say so, else in its directory. */
function openLog(dataDir: string): Promise<EventLog> {
  const ports = quietPorts
  const [first] = serviceProcesses(dataDir)
  if (first === undefined) return openSqliteLog({ directory: join(dataDir, 'log'), ports })
  const path = join(dataDir, 'processes', `${first.name}.json`)
  const { kafka }: { kafka: KafkaConfig } = JSON.parse(readFileSync(path, 'utf8'))
  return openKafkaLog({ ...kafkaSettings(kafka), ports })
}

/** Runs `use` on the log of a platform that has ended. */
export async function withLog<T>(dataDir: string, use: (log: EventLog) => Promise<T>): Promise<T> {
  const log = await openLog(dataDir)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

/** All records of a topic, in order. */
export async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const address = { topic, partition: PARTITION }
  const records: LogRecord[] = []
  let { start: from } = await log.range(address)
  for (;;) {
    const batch = await log.fetch(address, { from, maxBytes: FETCH_BYTES, waitMs: 0 })
    if (batch.records.length === 0) return records
    for (const record of batch.records) {
      records.push(record)
      from = record.position + 1
    }
  }
}
