import { eventRecord, readEventRecord } from '@serverless-ai/contracts/public-event'
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
  const record = eventRecord({ ...event, source: service, partition })
  if (trace === undefined) return record
  return { ...record, headers: { ...record.headers, [TRACEPARENT]: trace } }
}

/**
 * Public event of a record of the events topic. Throws when it is none of this service and
 * partition.
 */
export function publicEventOf(service: string, partition: number, record: LogRecord): PublicEvent {
  const event = readEventRecord(service, partition, record)
  if (event !== undefined) return event
  const id = record.headers['ce_id'] ?? ''
  throw new InvariantError(
    `no public event of ${service}/${partition} at ${record.position}: ce_id '${id}'`,
  )
}
