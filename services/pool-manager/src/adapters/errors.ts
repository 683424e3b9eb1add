import { type Refusal, type RpcCode, RpcError } from '@serverless-ai/kernel'

/** Every reason with which the pool manager refuses, and what the caller sees of it. */
export const POOL_ERRORS = {
  NODE_ID_MISMATCH: ['PERMISSION_DENIED', 'the token belongs to another node'],
  NODE_ID_IN_USE: [
    'FAILED_PRECONDITION',
    'another agent with this node id is connected; stop it, or give this node another id',
  ],
  PROTOCOL_VERSION: ['FAILED_PRECONDITION', 'the agent speaks another version of the protocol'],
  HELLO_MISSING: ['INVALID_ARGUMENT', 'the first message of a stream must be Hello'],
  INVALID_HELLO: ['INVALID_ARGUMENT', 'the Hello cannot be used'],
  STREAM_REPLACED: ['ABORTED', 'a newer stream of the same agent took over'],
  LEASE_EXPIRED: ['UNAVAILABLE', 'no heartbeat came within the lease; connect again'],
  NODE_LOST: ['UNAVAILABLE', 'the node was believed lost; connect again'],
  AGENT_TOO_SLOW: ['RESOURCE_EXHAUSTED', 'the agent does not take its messages; connect again'],
  STALE_SESSION: ['FAILED_PRECONDITION', 'a newer supervisor of this node registered'],
  NODE_IS_BACK: ['FAILED_PRECONDITION', 'the node registered again meanwhile'],
  NODE_NOT_FOUND: ['NOT_FOUND', 'no such node'],
  NODE_AWAY: ['UNAVAILABLE', 'no node that holds these logs can be reached now'],
  JOB_NOT_FOUND: ['NOT_FOUND', 'no such job, or it never ran'],
  INVALID_PAGE: ['INVALID_ARGUMENT', 'page_size must be 1 to 1,000 and the token one of this list'],
  NOT_LEADING: ['UNAVAILABLE', 'this replica does not lead the cell; connect again'],
  LOG_STREAMS_MAX: ['RESOURCE_EXHAUSTED', 'too many logs are read from this node; try again'],
} as const satisfies Record<string, readonly [RpcCode, string]>

export type PoolReason = keyof typeof POOL_ERRORS

/** An error of the table, with its numbers and names. */
export function poolError(
  reason: PoolReason,
  details: Readonly<Record<string, string | number>> = {},
): RpcError {
  const [code, sentence] = POOL_ERRORS[reason]
  const metadata = Object.fromEntries(
    Object.entries(details).map(([name, value]) => [name, String(value)]),
  )
  const numbers = Object.entries(metadata).map(([name, value]) => `${name} ${value}`)
  const message = numbers.length === 0 ? sentence : `${sentence} (${numbers.join(', ')})`
  return new RpcError({ code, reason, message, metadata })
}

const isPoolReason = (reason: string): reason is PoolReason => Object.hasOwn(POOL_ERRORS, reason)

/** The error of a refused command. */
export function errorOf(refusal: Refusal): RpcError {
  const details: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(refusal.details ?? {})) {
    details[name] = typeof value === 'number' ? value : String(value)
  }
  if (isPoolReason(refusal.reason)) return poolError(refusal.reason, details)
  const message = `the runtime refused: ${refusal.reason}`
  return new RpcError({ code: 'UNAVAILABLE', reason: refusal.reason, message })
}
