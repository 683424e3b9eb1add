import { type PublicEvent, readEventRecord } from '@serverless-ai/contracts/public-event'

export { eventsTopic, type PublicEvent } from '@serverless-ai/contracts/public-event'

/**
 * How far a consumer is in one partition. It is stored in the transaction that applies the events
 * up to it.
 */
export interface Mark {
  /** Last event that is applied, or part of the snapshot taken over; 0 = none. */
  readonly seq: number
  /**
   * Offset in the events topic of a record at or below `seq`; -1 = not known, as after a watch over
   * gRPC. A consumer that changes from there to the topic begins with a bootstrap.
   */
  readonly offset: number
}

/** The mark of an empty table. */
export const NO_MARK: Mark = { seq: 0, offset: -1 }

/** A record of the events topic, or an event of a watch. */
export interface SourceRecord {
  /** Offset in the events topic; -1 = not known. */
  readonly offset: number
  /** Absent when it is no public event of this service and partition. */
  readonly event?: PublicEvent
  /** Why `event` is absent. */
  readonly problem?: string
}

/** What a record is to a consumer with a mark. */
export type Verdict = 'next' | 'repeated' | 'gap'

/** Dense numbers: the next one, one that was seen, or one that shows that others are missing. */
export function judge(mark: Pick<Mark, 'seq'>, seq: number): Verdict {
  if (seq <= mark.seq) return 'repeated'
  return seq === mark.seq + 1 ? 'next' : 'gap'
}

/** A record as it lies in the topic: CloudEvents in the binary form. */
export interface RawRecord {
  readonly offset: number
  readonly key: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly value: Uint8Array
}

/** Reads a record of the events topic. */
export function readRecord(
  at: { readonly service: string; readonly partition: number },
  record: RawRecord,
): SourceRecord {
  const { service, partition } = at
  const { offset, headers } = record
  const event = readEventRecord(service, partition, record)
  if (event !== undefined) return { offset, event }
  const id = headers['ce_id'] ?? ''
  return { offset, problem: `no public event of ${service}/${partition}: ce_id '${id}'` }
}
