export { DEFAULT_RETRY, isAway, type RetryPolicy } from '@serverless-ai/rpc'
export {
  type ConnectOptions,
  connect,
  type JobsClient,
  type NewQueue,
  type PlatformClient,
} from './client.ts'
export { isFinished, type WatchPatience } from './watch.ts'
