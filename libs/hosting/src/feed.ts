import type { PublicEvent as PublicEventProto } from '@serverless-ai/contracts/feed/v1/feed'
import type { PublicEvent } from '@serverless-ai/runtime'

/** Wire → runtime. */
export function publicEventFromProto(event: PublicEventProto): PublicEvent {
  return {
    source: event.source,
    partition: event.partition,
    seq: Number(event.seq),
    type: event.type,
    key: event.key,
    tenant: event.tenant,
    atMs: Number(event.atMs),
    payload: event.payload,
  }
}

/** Runtime → wire. */
export function publicEventToProto(event: PublicEvent): PublicEventProto {
  return {
    source: event.source,
    partition: event.partition,
    seq: BigInt(event.seq),
    type: event.type,
    key: event.key,
    tenant: event.tenant,
    atMs: BigInt(Math.trunc(event.atMs)),
    payload: Buffer.from(event.payload),
  }
}
