import { type Randomness, RpcError } from '@serverless-ai/kernel'
import { ACCESS } from './access.ts'

/** How often and how long a call is tried again. */
export interface RetryPolicy {
  /**
   * Rounds through all known addresses while nobody answers, 1 = never again. Default 6. Redirects
   * to a leader do not count: they end with the time of the call.
   */
  readonly attempts: number
  /** First pause, ms; doubles. Default 100. */
  readonly firstMs: number
  /** Longest pause, ms. Default 2,000. */
  readonly mostMs: number
  /** How long a call that names no deadline of its own waits for a leader, ms. Default 10,000. */
  readonly leaderlessMs: number
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 6,
  firstMs: 100,
  mostMs: 2_000,
  leaderlessMs: 10_000,
}

/** True for a failure that says nothing against the request: nobody could or would take it now. */
export function isAway(error: unknown): error is RpcError {
  return error instanceof RpcError && error.code === 'UNAVAILABLE'
}

/** True when another replica leads, or none. */
export const isNotLeading = (error: RpcError): boolean => error.reason === 'NOT_LEADING'

/** True when the process that answered does not serve the method at all. */
export const isNotServed = (error: unknown): boolean =>
  error instanceof RpcError && error.code === 'UNIMPLEMENTED'

/** Reasons after which the request was certainly not carried out. */
const NOT_CARRIED_OUT: ReadonlySet<string> = new Set([
  // Nobody listens at the address: it never left.
  'NOT_CONNECTED',
  'NOT_LEADING',
  // The handshake failed: it never left.
  'SERVER_IDENTITY_MISMATCH',
  // Of a partition; a server that stops (`SERVER_STOPPING`) may cut what is running.
  'STOPPING',
])

/** True when the call may be made again, whatever it is. */
export const isNotCarriedOut = (error: RpcError): boolean => NOT_CARRIED_OUT.has(error.reason)

/** Pause after a failure (from 1), ms: exponential, jittered, at least what the server asks. */
export function pauseMs(init: {
  readonly attempt: number
  readonly policy: Pick<RetryPolicy, 'firstMs' | 'mostMs'>
  readonly randomness: Randomness
  readonly error: RpcError
}): number {
  const { attempt, policy, randomness, error } = init
  const most = Math.min(policy.mostMs, policy.firstMs * 2 ** (attempt - 1))
  return Math.max(error.retryAfterMs ?? 0, most * (0.5 + randomness.float() / 2))
}

/** Methods that would do something anew each time: only the id in the request makes them one. */
const NEED_REQUEST_ID: ReadonlySet<string> = new Set([
  '/serverlessai.job.v1.JobService/SubmitJob',
  '/serverlessai.job.v1.JobService/ScaleJob',
  '/serverlessai.schedule.v1.QueueService/CreateQueue',
])

/**
 * True when a call may be made again although the first one may have been carried out: reads, what
 * is idempotent by its domain key, and requests with an id.
 */
export function mayRepeat(path: string, request: unknown): boolean {
  if (!NEED_REQUEST_ID.has(path)) return Object.hasOwn(ACCESS, path)
  return (
    typeof request === 'object' &&
    request !== null &&
    'requestId' in request &&
    request.requestId !== ''
  )
}
