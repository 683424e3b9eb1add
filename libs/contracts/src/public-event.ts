/** Public events, and how they lie on the topic of their owner: CloudEvents in the binary form. */

/** A public event of a service. */
export interface PublicEvent {
  /** Service that owns it, for example `scheduler`. */
  readonly source: string
  /** Cell. */
  readonly partition: number
  /** Dense number, from 1; 0 inside a snapshot. */
  readonly seq: number
  /** Full proto message name, for example `serverlessai.events.v1.GangPlaced`. */
  readonly type: string
  /** Entity id, the partition key. */
  readonly key: string
  /** Tenant that may see it; empty = operators only. */
  readonly tenant: string
  /** Log time of the commit, ms since 1970. */
  readonly atMs: number
  /** Protobuf message of `type`. */
  readonly payload: Uint8Array
}

/** What a record of the topic carries. */
export interface EventRecord<Headers = Readonly<Record<string, string>>> {
  readonly key: string
  readonly headers: Headers
  readonly value: Uint8Array
}

/** Topic of a service's public events; `prefix`: what all topics of the platform begin with. */
export const eventsTopic = (service: string, prefix = ''): string =>
  `${prefix}serverlessai.events.${service}.v1`

/** The record of an event. */
export function eventRecord(event: PublicEvent): EventRecord {
  const { source, partition, seq, type, key, tenant, atMs, payload } = event
  const headers = {
    ce_specversion: '1.0',
    ce_id: `${source}/${partition}/${seq}`,
    ce_source: `serverlessai/${source}/${partition}`,
    ce_type: type,
    ce_subject: key,
    ce_time: new Date(atMs).toISOString(),
    ce_tenant: tenant,
    'content-type': 'application/protobuf',
  }
  return { key, headers, value: payload }
}

/** The event of a record; undefined when it is none of this service and partition. */
export function readEventRecord(
  service: string,
  partition: number,
  record: EventRecord<Readonly<Record<string, string | undefined>>>,
): PublicEvent | undefined {
  const { key, headers, value } = record
  const id = headers['ce_id'] ?? ''
  const prefix = `${service}/${partition}/`
  const seq = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN
  const atMs = Date.parse(headers['ce_time'] ?? '')
  if (!Number.isSafeInteger(seq) || seq < 1 || Number.isNaN(atMs)) return undefined
  return {
    source: service,
    partition,
    seq,
    type: headers['ce_type'] ?? '',
    key,
    tenant: headers['ce_tenant'] ?? '',
    atMs,
    payload: value,
  }
}
