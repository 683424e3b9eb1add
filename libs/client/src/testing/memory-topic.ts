/**
 * A service with a topic, for specs: it sets keys to numbers, publishes well or badly, and serves
 * its present state.
 */
import type { Mark, PublicEvent, SourceRecord } from '../events/event.ts'
import {
  type EventSource,
  MissedEventsError,
  type SnapshotPage,
  type SnapshotSource,
} from '../events/ports.ts'

const text = new TextEncoder()

/** The state after an event: keys that are set to 0 are gone. */
export function fold(state: Map<string, number>, event: PublicEvent): void {
  const value = Number(new TextDecoder().decode(event.payload))
  if (value === 0) state.delete(event.key)
  else state.set(event.key, value)
}

export class MemoryTopic implements EventSource, SnapshotSource {
  /** All events that are committed; index = seq - 1. */
  readonly events: PublicEvent[] = []
  /** What lies in the topic; index = offset. */
  readonly records: SourceRecord[] = []
  /** Lowest offset kept. */
  start = 0
  pageEvents = 3
  /** Called at the end of the topic; the reader goes on when it resolves. */
  atEnd: (signal: AbortSignal) => Promise<void> = async () => undefined
  snapshots = 0
  #pinned: { readonly events: readonly PublicEvent[]; readonly mark: Mark } | undefined

  commit(key: string, value: number): PublicEvent {
    const seq = this.events.length + 1
    const base = { source: 'scheduler', partition: 0, type: 'test.v1.Set', tenant: 't', atMs: seq }
    const event = { ...base, seq, key, payload: text.encode(`${value}`) }
    this.events.push(event)
    return event
  }

  publish(...events: readonly PublicEvent[]): void {
    for (const event of events) this.records.push({ offset: this.records.length, event })
  }

  state(seq = this.events.length): Map<string, number> {
    const state = new Map<string, number>()
    for (const event of this.events.slice(0, seq)) fold(state, event)
    return state
  }

  async *read(after: Mark, signal: AbortSignal): AsyncGenerator<readonly SourceRecord[]> {
    if (after.offset < 0 && after.seq > 0) throw new MissedEventsError('no offset')
    let next = after.offset + 1
    for (;;) {
      if (next < this.start || next > this.records.length) {
        throw new MissedEventsError(`offset ${next} is not kept`)
      }
      if (next === this.records.length) await this.atEnd(signal)
      signal.throwIfAborted()
      const piece = this.records.slice(Math.max(next, this.start), next + 4)
      next += piece.length
      yield piece
    }
  }

  async page({ pageToken }: { pageToken: string }): Promise<SnapshotPage> {
    if (pageToken === '') {
      this.snapshots += 1
      this.#pinned = { events: this.#present(), mark: this.#mark() }
    }
    const { events, mark } = this.#pinned!
    const next = Number(pageToken) + this.pageEvents
    return {
      events: events.slice(Number(pageToken), next),
      mark,
      nextPageToken: next < events.length ? String(next) : '',
    }
  }

  #present(): PublicEvent[] {
    const base = { source: 'scheduler', partition: 0, seq: 0, type: 'test.v1.Set', tenant: 't' }
    return [...this.state()].map(([key, value]) => {
      return { ...base, key, atMs: 0, payload: text.encode(`${value}`) }
    })
  }

  /** As the owner tells it: an offset at or below the pinned seq. */
  #mark(): Mark {
    const seq = this.events.length
    const offset = this.records.findLastIndex((record) => (record.event?.seq ?? seq + 1) <= seq)
    return { seq, offset: offset < 0 ? this.records.length - 1 : offset }
  }
}
