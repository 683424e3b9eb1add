import {
  EventFeedServiceService,
  type PublicEvent as PublicEventProto,
} from '@serverless-ai/contracts/feed/v1/feed'
import { type ClientOf, RpcError, type Timers } from '@serverless-ai/kernel'
import { systemTimers } from '@serverless-ai/kernel/system'
import { untilSilent } from '../until-silent.ts'
import type { Mark, PublicEvent, SourceRecord } from './event.ts'
import { type EventSource, MissedEventsError, type SnapshotSource } from './ports.ts'

/** Whose events. */
export interface FeedOptions {
  /** `feeds` of a connected client, or a plain typed client of `EventFeedService`. */
  readonly feeds: ClientOf<typeof EventFeedServiceService>
  /** Owner, for example `scheduler`. */
  readonly service: string
  /** Cell. Default 0. */
  readonly partition?: number
  readonly timers?: Timers
}

/** Events of a page: at most 1,000. */
const PAGE_EVENTS = 500
const PAGE_TIMEOUT_MS = 30_000
/** The service sends a heartbeat every 10 s: after this silence the watch is opened anew, ms. */
const SILENCE_MS = 25_000

function fromProto(event: PublicEventProto): PublicEvent {
  const { source, partition, type, key, tenant, payload } = event
  const seq = Number(event.seq)
  return { source, partition, seq, type, key, tenant, atMs: Number(event.atMs), payload }
}

/** Public events as the service itself sends them. Needs no broker; the mark knows no offset. */
export function watchedEvents(options: FeedOptions): EventSource {
  const { feeds, service, partition = 0, timers = systemTimers } = options
  return {
    async *read(after: Mark, signal: AbortSignal): AsyncGenerator<readonly SourceRecord[]> {
      const request = { service, partition, afterSeq: BigInt(after.seq) }
      const open = (until: AbortSignal) => feeds.watchFeed(request, { signal: until })
      try {
        for await (const { events } of untilSilent(open, { timers, signal, silenceMs: SILENCE_MS }))
          yield events.map((event) => ({ offset: -1, event: fromProto(event) }))
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== 'OUT_OF_RANGE') throw error
        throw new MissedEventsError(error.message, { cause: error })
      }
    },
  }
}

/** The present state of a service, page by page. */
export function feedSnapshots(options: FeedOptions): SnapshotSource {
  const { feeds, service, partition = 0 } = options
  return {
    async page({ pageToken, signal }) {
      const request = { service, partition, types: [], pageSize: PAGE_EVENTS, pageToken }
      const call = { timeoutMs: PAGE_TIMEOUT_MS, signal }
      const page = await feeds.getFeedSnapshot(request, call)
      const seq = Number(page.seq)
      return {
        events: page.events.map(fromProto),
        // Where nothing was ever published there is no offset either.
        mark: { seq, offset: seq === 0 ? -1 : Number(page.offset) },
        nextPageToken: page.nextPageToken,
      }
    },
  }
}
