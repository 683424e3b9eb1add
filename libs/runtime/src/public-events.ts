/**
 * Public events on their topic: CloudEvents in the binary form, the value is the protobuf message.
 */
import type { LogEntry, LogRecord } from '@serverless-ai/eventlog'
import { InvariantError, TRACEPARENT, type TraceContext } from '@serverless-ai/kernel'
import type { Unpublished } from './framework.ts'
import type { PublicEvent } from './types.ts'

/** Entry of the events topic for a public event; `trace`: what led to it, if that is known. */
export function entryOf(init: {
  readonly service: string
  readonly partition: number
  readonly event: Unpublished
  readonly trace?: TraceContext | undefined
}): LogEntry {
  const { service, partition, event, trace } = init
  return {
    key: event.key,
    headers: {
      ce_specversion: '1.0',
      ce_id: `${service}/${partition}/${event.seq}`,
      ce_source: `serverlessai/${service}/${partition}`,
      ce_type: event.type,
      ce_subject: event.key,
      ce_time: new Date(event.atMs).toISOString(),
      ce_tenant: event.tenant,
      'content-type': 'application/protobuf',
      ...(trace === undefined ? {} : { [TRACEPARENT]: trace }),
    },
    value: event.payload,
  }
}

/**
 * Public event of a record of the events topic. Throws when it is none of this service and
 * partition.
 */
export function publicEventOf(service: string, partition: number, record: LogRecord): PublicEvent {
  const { headers } = record
  const id = headers['ce_id'] ?? ''
  const prefix = `${service}/${partition}/`
  const seq = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN
  const atMs = Date.parse(headers['ce_time'] ?? '')
  if (!Number.isSafeInteger(seq) || seq < 1 || Number.isNaN(atMs)) {
    throw new InvariantError(`no public event of ${prefix} at ${record.position}: ce_id '${id}'`)
  }
  return {
    source: service,
    partition,
    seq,
    type: headers['ce_type'] ?? '',
    key: record.key,
    tenant: headers['ce_tenant'] ?? '',
    atMs,
    payload: record.value,
  }
}
