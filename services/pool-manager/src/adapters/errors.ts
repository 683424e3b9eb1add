import type { Refusal, RpcError } from '@serverless-ai/kernel'
import { type RefusalReason, refusalToError, rpcError } from '@serverless-ai/rpc'

/** What the pool manager says with each of its reasons; their codes are in the catalogue. */
const SENTENCES = {
  NODE_ID_MISMATCH: 'the token belongs to another node',
  NODE_ID_IN_USE:
    'another agent with this node id is connected; stop it, or give this node another id',
  PROTOCOL_VERSION: 'the agent speaks another version of the protocol',
  HELLO_MISSING: 'the first message of a stream must be Hello',
  INVALID_HELLO: 'the Hello cannot be used',
  STREAM_REPLACED: 'a newer stream of the same agent took over',
  LEASE_EXPIRED: 'no heartbeat came within the lease; connect again',
  NODE_LOST: 'the node was believed lost; connect again',
  AGENT_TOO_SLOW: 'the agent does not take its messages; connect again',
  STALE_SESSION: 'a newer supervisor of this node registered',
  NODE_IS_BACK: 'the node registered again meanwhile',
  NODE_NOT_FOUND: 'no such node',
  NODE_AWAY: 'no node that holds these logs can be reached now',
  JOB_NOT_FOUND: 'no such job, or it never ran',
  INVALID_PAGE: 'page_size must be 1 to 1,000 and the token one of this list',
  NOT_LEADING: 'this replica does not lead the cell; connect again',
  LOG_STREAMS_MAX: 'too many logs are read from this node; try again',
} as const satisfies Partial<Record<RefusalReason, string>>

type PoolReason = keyof typeof SENTENCES
type Details = Readonly<Record<string, string | number>>

/** The error of a reason, with its numbers and names. */
export function poolError(reason: PoolReason, details: Details = {}): RpcError {
  const told = Object.entries(details).map(([name, value]) => [name, String(value)] as const)
  const numbers = told.map(([name, value]) => `${name} ${value}`).join(', ')
  const message = numbers === '' ? SENTENCES[reason] : `${SENTENCES[reason]} (${numbers})`
  return rpcError(reason, { message, metadata: Object.fromEntries(told) })
}

const isPoolReason = (reason: string): reason is PoolReason => Object.hasOwn(SENTENCES, reason)

/** The error of a refusal by the core or the runtime. */
export function errorOf(refusal: Refusal): RpcError {
  const { reason, details = {} } = refusal
  if (!isPoolReason(reason)) return refusalToError(refusal)
  const told = Object.entries(details).map(([name, value]) => [name, String(value)] as const)
  return poolError(reason, Object.fromEntries(told))
}
