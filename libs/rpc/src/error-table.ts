import { type Refusal, type RpcCode, RpcError } from '@serverless-ai/kernel'
import { GATEWAY_ERRORS } from './gateway-errors.ts'
import { OBJECTIVE_ERRORS } from './objective-errors.ts'
import { PROFILE_ERRORS } from './profile-errors.ts'
import { SCALING_ERRORS } from './scaling-errors.ts'

/** What the edge makes of a refusal: canonical code, HTTP status, sentence without numbers. */
export type EdgeError = readonly [code: RpcCode, http: number, sentence: string]

/**
 * Every reason with which a core or an edge of the platform refuses. A new reason is one line here;
 * users match on it, so it never changes its meaning.
 */
const TABLE = {
  ...GATEWAY_ERRORS,
  ...OBJECTIVE_ERRORS,
  ...PROFILE_ERRORS,
  ...SCALING_ERRORS,
  AGENT_TOO_SLOW: [
    'RESOURCE_EXHAUSTED',
    429,
    'the agent does not take its messages; connect again',
  ],
  ALREADY_EXISTS: ['ALREADY_EXISTS', 409, 'it exists already with other content'],
  BACKOFF: ['FAILED_PRECONDITION', 409, 'the back-off after a failure is not over'],
  CANCELLED: ['CANCELLED', 499, 'the caller went away'],
  CERTIFICATE_EXPIRED: [
    'UNAUTHENTICATED',
    401,
    "the caller's certificate is over; connect again with a new one",
  ],
  CHECKPOINT_NOT_FOUND: ['NOT_FOUND', 404, 'no such checkpoint'],
  COMMAND_TOO_LARGE: ['RESOURCE_EXHAUSTED', 413, 'the request makes a commit above 4 MiB'],
  DEADLINE_EXCEEDED: ['DEADLINE_EXCEEDED', 504, 'the deadline passed before the answer was there'],
  DIGEST_MISMATCH: ['DATA_LOSS', 422, 'the content does not match its digest'],
  DISK_FULL: [
    'RESOURCE_EXHAUSTED',
    507,
    'the disk of the log is full; what was sent may be carried out once there is space',
  ],
  ENQUEUE_PENDING: [
    'DEADLINE_EXCEEDED',
    504,
    'the job was taken, the scheduler has not answered yet',
  ],
  EXCEEDS_QUEUE_MAX: ['FAILED_PRECONDITION', 422, 'the gang alone is above the queue maximum'],
  FEATURE_LEVEL_LOWER: [
    'FAILED_PRECONDITION',
    409,
    'the log is at a higher feature level; none is taken back',
  ],
  FEATURE_LEVEL_UNKNOWN: [
    'FAILED_PRECONDITION',
    409,
    'the leader does not know that feature level; upgrade first',
  ],
  FEATURE_NOT_ENABLED: [
    'FAILED_PRECONDITION',
    409,
    'the platform was upgraded, its feature level not raised yet',
  ],
  FEED_GAP: ['OUT_OF_RANGE', 410, 'events after that number are no longer kept; take a snapshot'],
  FEED_SLOW_READER: ['RESOURCE_EXHAUSTED', 429, 'the reader is too slow; resume from its mark'],
  GANG_NOT_FOUND: ['NOT_FOUND', 404, 'the job has no such gang'],
  HELLO_MISSING: ['INVALID_ARGUMENT', 400, 'the first message of a stream must be Hello'],
  IDENTITY_UNKNOWN: [
    'UNAUTHENTICATED',
    401,
    'the certificate carries no identity of this trust domain',
  ],
  INCIDENT_NOT_FOUND: ['NOT_FOUND', 404, 'no such incident'],
  INTERNAL: ['INTERNAL', 500, 'an internal error; see the log of the service'],
  INVALID_ARGUMENT: ['INVALID_ARGUMENT', 400, 'the request is not valid'],
  INVALID_CONTRACT: ['INTERNAL', 500, 'the launch contract does not fit its gang'],
  INVALID_GRANT: ['INTERNAL', 500, 'the placed gang cannot be launched'],
  INVALID_HELLO: ['INVALID_ARGUMENT', 400, 'the Hello cannot be used'],
  INVALID_PAGE: ['INVALID_ARGUMENT', 400, 'the page size or token is not one of this list'],
  INVALID_PAGE_SIZE: ['INVALID_ARGUMENT', 400, 'page_size must be from 1 to 1,000'],
  INVALID_PAGE_TOKEN: ['INVALID_ARGUMENT', 400, 'the page token is not one of this list'],
  INVALID_QUEUE: ['INVALID_ARGUMENT', 400, 'the queue is not valid'],
  INVALID_SPEC: ['INVALID_ARGUMENT', 400, 'the job description is not valid'],
  INVARIANT: ['INTERNAL', 500, 'an invariant of the program is broken'],
  JOB_FINISHED: ['FAILED_PRECONDITION', 409, 'the job is finished'],
  JOB_NOT_FOUND: ['NOT_FOUND', 404, 'no such job for this caller'],
  LEASE_EXPIRED: ['UNAVAILABLE', 503, 'no heartbeat came within the lease; connect again'],
  LISTEN_REFUSED: ['FAILED_PRECONDITION', 400, 'this address is not the loopback'],
  LOG_STREAMS_MAX: ['RESOURCE_EXHAUSTED', 429, 'too many logs are read from this node; try again'],
  LOG_UNAVAILABLE: ['UNAVAILABLE', 503, 'the log cannot be written now'],
  MAILBOX_FULL: ['RESOURCE_EXHAUSTED', 429, 'too many requests wait; try again'],
  MODEL_NOT_FOUND: [
    'FAILED_PRECONDITION',
    422,
    'no checkpoint of that job is known to this tenant',
  ],
  NODE_AWAY: ['UNAVAILABLE', 503, 'the node cannot be reached now'],
  NODE_ID_IN_USE: ['FAILED_PRECONDITION', 409, 'another agent serves this node'],
  NODE_ID_MISMATCH: ['PERMISSION_DENIED', 403, 'the token belongs to another node'],
  NODE_IS_BACK: ['FAILED_PRECONDITION', 409, 'the node registered again meanwhile'],
  NODE_LOST: ['UNAVAILABLE', 503, 'the node was believed lost; connect again'],
  NODE_NOT_FOUND: ['NOT_FOUND', 404, 'no such node'],
  NOT_CONNECTED: ['UNAVAILABLE', 503, 'nobody answers at the address; nothing was sent'],
  NOT_FOUND: ['NOT_FOUND', 404, 'it does not exist for this caller'],
  NOT_LEADING: ['UNAVAILABLE', 503, 'this replica does not lead the cell; try again'],
  NOT_OWNER: ['PERMISSION_DENIED', 403, 'it belongs to somebody else'],
  NOT_READY: ['UNAVAILABLE', 503, 'the service is not ready yet'],
  NOT_SCALABLE: ['FAILED_PRECONDITION', 409, 'the job is neither an Inference job nor elastic'],
  NOT_UPDATABLE: [
    'FAILED_PRECONDITION',
    409,
    'only an Inference job is updated, and not every field of it',
  ],
  NO_MATCHING_NODE: ['FAILED_PRECONDITION', 422, 'no node of the fleet can ever hold this'],
  OUTCOME_UNKNOWN: [
    'UNAVAILABLE',
    503,
    'the request may have been carried out; send it again with the same request id',
  ],
  OUT_OF_RANGE: ['OUT_OF_RANGE', 400, 'the position is outside of what is kept'],
  PARTITION_STOPPED: ['UNAVAILABLE', 503, 'the partition stopped with an alarm; see sai status'],
  PERMISSION_DENIED: ['PERMISSION_DENIED', 403, 'the caller may not do this'],
  POSITION_INVALID: ['INVALID_ARGUMENT', 400, 'the position is none that this platform gave out'],
  POSITION_NOT_FOLLOWED: [
    'INVALID_ARGUMENT',
    400,
    'this service does not follow the source of the position',
  ],
  POSITION_NOT_REACHED: ['UNAVAILABLE', 503, 'this replica has not read that position yet'],
  POSITION_OUT_OF_RANGE: ['OUT_OF_RANGE', 400, 'the position is outside of what is kept'],
  PROTOCOL_VERSION: ['FAILED_PRECONDITION', 426, 'the versions do not speak to each other'],
  PUBLISH_BACKLOG: ['RESOURCE_EXHAUSTED', 429, 'too many events wait to be published; try again'],
  QUEUE_EXISTS: ['ALREADY_EXISTS', 409, 'the queue exists already with other settings'],
  RATE_LIMITED: ['RESOURCE_EXHAUSTED', 429, 'too many requests; try again later'],
  REPLICAS_NOT_READY: [
    'FAILED_PRECONDITION',
    409,
    'not every replica is known to know the feature level',
  ],
  REQUEST_FROM_FUTURE: [
    'INVALID_ARGUMENT',
    400,
    'the request id lies in the future; mind the clock',
  ],
  REQUEST_ID_INVALID: ['INVALID_ARGUMENT', 400, 'the request id is not a UUIDv7'],
  REQUEST_ID_REUSED: ['ALREADY_EXISTS', 409, 'the request id was used with another body'],
  REQUEST_TABLE_FULL: ['RESOURCE_EXHAUSTED', 429, 'too many answers of the last 24 hours are kept'],
  REQUEST_TOO_OLD: ['FAILED_PRECONDITION', 409, 'the request id is older than 24 hours'],
  RESIZE_COOLDOWN: [
    'FAILED_PRECONDITION',
    409,
    'the size of the gang was changed a short time ago',
  ],
  RETRY_BUDGET_SPENT: ['FAILED_PRECONDITION', 409, 'the retry budget of the job is spent'],
  REVISION_NOT_FOUND: ['NOT_FOUND', 404, 'no such revision of the job is kept'],
  SCALE_OUT_OF_RANGE: [
    'INVALID_ARGUMENT',
    400,
    "the number is outside of the job's minimum and maximum",
  ],
  SCALE_OWNED: ['FAILED_PRECONDITION', 409, 'somebody else decides about the scale of this job'],
  SERVER_IDENTITY_MISMATCH: [
    'UNAVAILABLE',
    503,
    'the server is not the service that was called; nothing was sent',
  ],
  SERVER_STOPPING: ['UNAVAILABLE', 503, 'the server is stopping'],
  SERVICE_EXISTS: ['ALREADY_EXISTS', 409, 'the tenant has an open Inference job of that name'],
  SERVICE_NOT_SERVED: ['NOT_FOUND', 404, 'this process does not serve that service'],
  SNAPSHOT_EXPIRED: ['FAILED_PRECONDITION', 410, 'the page token is too old; start over'],
  STALE_GENERATION: ['FAILED_PRECONDITION', 409, 'another generation is current'],
  STALE_SCALE: ['ABORTED', 409, 'another version of the scale is current'],
  STALE_SESSION: ['FAILED_PRECONDITION', 409, 'a newer supervisor of this node registered'],
  STOPPING: ['UNAVAILABLE', 503, 'the service is stopping'],
  STREAM_REPLACED: ['ABORTED', 409, 'a newer stream of the same agent took over'],
  STREAM_SILENT: ['UNAVAILABLE', 503, 'the stream fell silent'],
  TENANT_NOT_YOURS: [
    'PERMISSION_DENIED',
    403,
    'the token belongs to another tenant; leave tenant empty',
  ],
  TENANT_REQUIRED: ['INVALID_ARGUMENT', 400, 'an operator must name the tenant it submits for'],
  TLS_MATERIAL_INVALID: ['FAILED_PRECONDITION', 400, 'the TLS files cannot be used'],
  TOO_MANY_DEVICES: ['RESOURCE_EXHAUSTED', 429, 'the node has more devices than a node may have'],
  TOO_MANY_JOBS: ['RESOURCE_EXHAUSTED', 429, 'the cell has as many open jobs as it takes'],
  TOO_MANY_NODES: ['RESOURCE_EXHAUSTED', 429, 'the cell knows as many nodes as it takes'],
  TOO_MANY_QUEUES: ['RESOURCE_EXHAUSTED', 429, 'the cell has as many queues as it takes'],
  TOO_MANY_UPLOADS: ['RESOURCE_EXHAUSTED', 429, 'too many uploads are running; try again'],
  TOO_MANY_WATCHERS: ['RESOURCE_EXHAUSTED', 429, 'too many watchers'],
  UNAUTHENTICATED: ['UNAUTHENTICATED', 401, 'a valid bearer token or certificate is needed'],
  UNAVAILABLE: ['UNAVAILABLE', 503, 'the service cannot be reached now'],
  UNIMPLEMENTED: ['UNIMPLEMENTED', 501, 'the server does not serve this method'],
  UNKNOWN_QUEUE: ['NOT_FOUND', 404, 'the queue does not exist for this tenant'],
  VOID_BREAKS_LOG: [
    'FAILED_PRECONDITION',
    409,
    'what follows the record cannot be folded without its events',
  ],
  VOID_MISMATCH: ['FAILED_PRECONDITION', 409, 'the record is another one, or holds no events'],
  WATCH_ENDED: ['UNAVAILABLE', 503, 'the watch ended before the job did'],
  WATCH_SILENT: ['UNAVAILABLE', 503, 'the watch fell silent'],
  WORKSPACE_DISK_FULL: ['RESOURCE_EXHAUSTED', 507, 'the disk of the workspaces is full'],
  WORKSPACE_INVALID: ['INVALID_ARGUMENT', 400, 'the digest of the workspace is not valid'],
  WORKSPACE_NOT_FOUND: ['NOT_FOUND', 404, 'no such workspace'],
  WORKSPACE_STORE_FULL: ['RESOURCE_EXHAUSTED', 507, 'workspaces of open jobs fill the store'],
  WORKSPACE_TOO_LARGE: ['RESOURCE_EXHAUSTED', 413, 'the workspace is above 100 MiB'],
} as const satisfies Record<string, EdgeError>

/** A reason of the catalogue. */
export type RefusalReason = keyof typeof TABLE

/** The one table from refusal reason to edge. */
export const ERROR_TABLE: Readonly<Record<RefusalReason, EdgeError>> = TABLE

/** True for a reason of the catalogue. */
export function isRefusalReason(reason: string): reason is RefusalReason {
  return Object.hasOwn(TABLE, reason)
}

const DEFAULT: EdgeError = ['FAILED_PRECONDITION', 409, 'the state does not allow it']

/** The edge's view of a reason; one that is not in the catalogue is a failed precondition. */
export function edgeErrorOf(reason: string): EdgeError {
  return isRefusalReason(reason) ? ERROR_TABLE[reason] : DEFAULT
}

/** More about an error than its reason. */
export interface RpcErrorExtras {
  /** Replaces the sentence of the table. */
  readonly message?: string
  /** Numbers and names that belong to the reason. */
  readonly metadata?: Readonly<Record<string, string>>
  readonly violations?: RpcError['violations']
  readonly retryAfterMs?: number
}

/** An error of the catalogue: code and sentence come from the table. */
export function rpcError(reason: RefusalReason, extras: RpcErrorExtras = {}): RpcError {
  const [code, , sentence] = ERROR_TABLE[reason]
  return new RpcError({ code, reason, message: `${reason}: ${sentence}`, ...extras })
}

/** The error of a refusal by a core: its details become metadata and are named in the message. */
export function refusalToError(refusal: Refusal): RpcError {
  const [code, , sentence] = edgeErrorOf(refusal.reason)
  const entries = Object.entries(refusal.details ?? {}).map(
    ([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)] as const,
  )
  const numbers = entries.map(([key, value]) => `${key}=${value}`).join(', ')
  const message = `${refusal.reason}: ${sentence}${numbers === '' ? '' : ` (${numbers})`}`
  const metadata = Object.fromEntries(entries)
  return new RpcError({ code, reason: refusal.reason, message, metadata })
}

/** HTTP status of an error, for edges that speak HTTP. */
export function httpStatusOf(error: RpcError): number {
  if (isRefusalReason(error.reason)) return ERROR_TABLE[error.reason][1]
  return isRefusalReason(error.code) ? ERROR_TABLE[error.code][1] : DEFAULT[1]
}
