import type { RpcCode } from '@serverless-ai/kernel'

/** Reasons with which the gateway refuses or ends a request; rows of the one error table. */
export const GATEWAY_ERRORS = {
  BODY_TOO_LARGE: ['RESOURCE_EXHAUSTED', 413, 'the body of the request is too large'],
  CALLER_TOO_SLOW: ['ABORTED', 408, 'the caller sent or took nothing for too long'],
  CLASS_UNKNOWN: ['INVALID_ARGUMENT', 400, 'there is no such class of requests'],
  ENCODING_NOT_SUPPORTED: ['UNIMPLEMENTED', 415, 'the body is compressed; send it as it is'],
  GATEWAY_FULL: ['RESOURCE_EXHAUSTED', 503, 'the gateway holds as much as it may; try again'],
  HEADER_INVALID: ['INVALID_ARGUMENT', 400, 'the headers contradict each other or are malformed'],
  HOLD_EXPIRED: ['DEADLINE_EXCEEDED', 504, 'no replica had room for the request in its time'],
  METHOD_NOT_ALLOWED: ['UNIMPLEMENTED', 405, 'this method is not taken here'],
  MODEL_REQUIRED: ['INVALID_ARGUMENT', 400, 'the body is no JSON object with a model'],
  PROTOCOL_MISMATCH: ['FAILED_PRECONDITION', 421, 'the service does not speak this protocol'],
  REPLICA_BROKE_OFF: ['UNAVAILABLE', 502, 'the replica broke off; the request may have been done'],
  REPLICA_SILENT: ['DEADLINE_EXCEEDED', 504, 'the replica said nothing for too long'],
  REPLICA_WRONG: ['INTERNAL', 502, 'what the replica answered is no valid HTTP'],
  REQUEST_MALFORMED: ['INVALID_ARGUMENT', 400, 'the request is no valid HTTP'],
  REQUEST_SHED: ['RESOURCE_EXHAUSTED', 503, 'overload: others of its class or above came first'],
  ROUTE_NOT_FOUND: ['NOT_FOUND', 404, 'nothing answers under this path'],
  SERVICE_ENDED: ['UNAVAILABLE', 503, 'the job of the service has ended'],
  SERVICE_NOT_FOUND: ['NOT_FOUND', 404, 'no such service for this caller'],
  SERVICE_QUEUE_FULL: ['RESOURCE_EXHAUSTED', 503, 'overload: too many requests wait; try again'],
  TARGET_INVALID: ['INVALID_ARGUMENT', 400, 'the path of the request is not taken'],
  TENANT_QUEUE_FULL: ['RESOURCE_EXHAUSTED', 429, 'too many requests of the tenant wait; try again'],
  TIMEOUT_INVALID: ['INVALID_ARGUMENT', 400, 'the time that the request asks for is not valid'],
  TOO_MANY_HEADERS: ['RESOURCE_EXHAUSTED', 431, 'the request has too many or too large headers'],
} as const satisfies Record<string, readonly [RpcCode, number, string]>
