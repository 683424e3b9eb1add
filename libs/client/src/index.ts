export {
  type ConnectOptions,
  connect,
  type JobsClient,
  type NewQueue,
  type PlatformClient,
} from './client.ts'
export { DEFAULT_RETRY, isAway, type RetryPolicy, withRetry } from './retry.ts'
export { isFinished, type WatchPatience } from './watch.ts'
