import { type KafkaConfig, kafkaSettings } from '@serverless-ai/config'
import {
  createMemoryLogStore,
  type EventLog,
  openMemoryLog,
  openSqliteLog,
} from '@serverless-ai/eventlog'
import type { TopicFinding } from '@serverless-ai/eventlog/kafka'
import type { Ports } from '@serverless-ai/kernel'
import type { Metrics } from '@serverless-ai/telemetry'
import type { PlatformConfig } from './config.ts'
import { appendObserver } from './telemetry/kafka-metrics.ts'

/** The log that is configured cannot be used as it is. The message has a code and the mend. */
export class LogStartError extends Error {
  override readonly name = 'LogStartError'
}

/** True where the configuration names brokers; without any the log is the embedded one. */
export const usesKafka = ({ kafka }: { readonly kafka: KafkaConfig }): boolean =>
  kafka.brokers.length > 0

/**
 * Opens the log of a process: the embedded one in its data directory, or the one on Kafka, of which
 * the topics of `services` are compared with their plan first. Nothing is made there.
 * @throws LogStartError, LogOpenError, ConfigError
 */
export async function openEventLog(init: {
  kafka: KafkaConfig
  dataDir: string
  ports: Ports
  /** Names of all replicas; several need Kafka. */
  replicas: readonly string[]
  services: readonly string[]
  metrics: Metrics
}): Promise<EventLog> {
  const { kafka, dataDir, ports, replicas, services, metrics } = init
  // Who owns no log must not keep those out who do, and needs no broker to start.
  if (services.length === 0) return openMemoryLog({ ports, store: createMemoryLogStore() })
  if (!usesKafka(init)) {
    if (replicas.length > 1) throw replicasNeedKafka(replicas)
    return openSqliteLog({ directory: `${dataDir}/log`, ports })
  }
  // Only here: the client of Kafka is no small part of a process that needs none.
  const { checkTopics, KafkaLogError, openKafkaLog, planTopics } = await import(
    '@serverless-ai/eventlog/kafka'
  )
  const connection = { ...kafkaSettings(kafka), ports }
  const replication = kafka.replicationFactor
  const plan = planTopics({ services, replication, eventsRetentionMs: EVENTS_KEPT_MIN_MS })
  try {
    const findings = await checkTopics(connection, plan)
    const wrong = findings.filter((finding) => !isMore(finding))
    if (wrong.length > 0) throw topicsNotReady(wrong)
    const observer = appendObserver(metrics)
    return await openKafkaLog({ ...connection, observer, copies: replication })
  } catch (error) {
    if (!(error instanceof KafkaLogError)) throw error
    throw new LogStartError(`KAFKA_${error.code}: ${error.message}`, { cause: error })
  }
}

/** How long consumers may be away is up to those who made the topics, ms. */
const EVENTS_KEPT_MIN_MS = 3_600_000
/** Days that the embedded log is kept below its snapshots. */
const EMBEDDED_DAYS = 14

/** Days for which the past is kept; 0 = for ever, as on Kafka unless somebody says otherwise. */
export function retentionDaysOf(
  config: { readonly kafka: KafkaConfig } & Pick<PlatformConfig, 'retentionDays'>,
): number {
  return config.retentionDays ?? (usesKafka(config) ? 0 : EMBEDDED_DAYS)
}

/** More partitions than this process serves are other cells. */
const isMore = ({ setting, wanted, found }: TopicFinding): boolean =>
  setting === 'partitions' && Number(found) > Number(wanted)

function replicasNeedKafka(replicas: readonly string[]): LogStartError {
  return new LogStartError(
    `REPLICAS_NEED_KAFKA: ${replicas.join(', ')} are ${replicas.length} replicas, and the ` +
      'embedded log belongs to one process: name brokers with --kafka.brokers HOST:PORT, or ' +
      'one replica',
  )
}

function topicsNotReady(wrong: readonly TopicFinding[]): LogStartError {
  const lines = wrong.map(({ topic, setting, wanted, found, mend }) =>
    setting === 'topic'
      ? `  ${topic} does not exist: ${mend}`
      : `  ${topic}: ${setting} is ${found === '' ? 'not set' : found}, not ${wanted}: ${mend}`,
  )
  return new LogStartError(
    ['TOPICS_NOT_READY: the log cannot be used as it is', ...lines].join('\n'),
  )
}
