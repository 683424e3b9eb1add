export type { AppendObserver, ObservedAppend } from './appender.ts'
export { durabilityOf, type KafkaConnection, type KafkaSasl, type KafkaTls } from './connection.ts'
export { type KafkaErrorCode, KafkaLogError, LogGapError } from './errors.ts'
export type { Dial } from './kafkajs-socket.ts'
export {
  type KafkaLogOptions,
  type KafkaRecords,
  openKafkaLog,
  openKafkaRecords,
} from './open.ts'
export {
  applyTopics,
  checkTopics,
  compareTopics,
  countBrokers,
  EVENTS_RETENTION_MS,
  planTopics,
  TELEMETRY_TOPIC,
  type TopicFinding,
  type TopicPlan,
  type TopicsConnection,
  type TopicsOptions,
} from './topics.ts'
