export { ConfigError, type ConfigErrorCode, type ConfigProblem } from './error.ts'
export { type KafkaConfig, type KafkaSettings, kafkaConfig, kafkaSettings } from './kafka.ts'
export {
  type ConfigSources,
  type DeepReadonly,
  describeKeys,
  helpText,
  loadConfig,
  printConfig,
  secret,
} from './load.ts'
export { EXIT_CONFIG, loadConfigOrExit, processInput } from './process.ts'
export type { ConfigSchema } from './shape.ts'
export { nearest } from './shape.ts'
export {
  type SnapshotBucketSettings,
  type SnapshotsConfig,
  snapshotBucketSettings,
  snapshotsConfig,
} from './snapshots.ts'
