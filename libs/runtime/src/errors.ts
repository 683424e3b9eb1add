import type { AppendRefusedError } from '@serverless-ai/eventlog'
import { RpcError } from '@serverless-ai/kernel'

/**
 * This replica does not lead the partition (any more). What was sent was certainly not carried out
 * by it.
 */
export const notLeading = (
  service: string,
  leader: { replica: string; address: string },
): RpcError =>
  new RpcError({
    code: 'UNAVAILABLE',
    reason: 'NOT_LEADING',
    message: `${service} is not led by this process at the moment`,
    metadata: { service, leader: leader.replica, leaderAddress: leader.address },
    retryAfterMs: 200,
  })

/**
 * The commit that holds the request was sent, and this process will not learn what became of it:
 * it may be carried out, now or a little later.
 */
export const outcomeUnknown = (service: string): RpcError =>
  new RpcError({
    code: 'UNAVAILABLE',
    reason: 'OUTCOME_UNKNOWN',
    message:
      `${service} lost sight of the request: it may have been carried out. ` +
      'Send it again with the same request id',
    metadata: { service },
    retryAfterMs: 200,
  })

/**
 * The log does not take anything at the moment. What was sent may be carried out when it does
 * again.
 */
export const logBlocked = (
  service: string,
  { code, message }: Pick<AppendRefusedError, 'code' | 'message'>,
): RpcError =>
  new RpcError({
    ...(code === 'DISK_FULL'
      ? { code: 'RESOURCE_EXHAUSTED', reason: 'DISK_FULL' }
      : { code: 'UNAVAILABLE', reason: 'LOG_UNAVAILABLE' }),
    message:
      `the log of ${service} cannot be written: ${message}. ` +
      'Send the request again with the same request id when this is mended',
    metadata: { service },
    retryAfterMs: 2000,
  })

export const deadlineExceeded = (text: string): RpcError =>
  new RpcError({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED', message: text })

/** This process is about to end. What was sent was certainly not carried out by it. */
export const stopping = (service: string): RpcError =>
  new RpcError({
    code: 'UNAVAILABLE',
    reason: 'STOPPING',
    message: `${service} is shutting down`,
    metadata: { service },
  })

/** Text of whatever was thrown. */
export const errorText = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
