/**
 * Serves the service's public events: the present state in pages pinned at one position, and the
 * live tail.
 */
import { eventsTopic, LogOutOfRangeError } from '@serverless-ai/eventlog'
import { type Message, RpcError } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import type { Partition } from './partition.ts'
import { publicEventOf } from './public-events.ts'
import type { Publisher } from './publisher.ts'
import type { PublicDraft, PublicEvent } from './types.ts'

/** Life of a pinned snapshot, ms. */
export const FEED_PIN_MS = 5 * 60_000
/** Pinned snapshots at once; the oldest gives way. */
const FEED_PINS_MAX = 8
const PAGE_MAX = 1000
const WATCH_FETCH_BYTES = 1024 * 1024
/** An empty batch is sent after so long, ms. */
const HEARTBEAT_MS = 10_000

/** A page of the present state. */
export interface FeedPage {
  readonly events: readonly PublicEvent[]
  readonly seq: number
  readonly offset: number
  readonly nextPageToken: string
}

interface Pin {
  readonly drafts: readonly PublicDraft[]
  readonly seq: number
  readonly offset: number
  readonly atMs: number
  readonly untilMs: number
}

const expired = (): RpcError =>
  new RpcError({
    code: 'FAILED_PRECONDITION',
    reason: 'SNAPSHOT_EXPIRED',
    message: 'the pinned state behind this page token is gone: start over without a token',
  })

const gap = (afterSeq: number): RpcError =>
  new RpcError({
    code: 'OUT_OF_RANGE',
    reason: 'FEED_GAP',
    message: `public events after ${afterSeq} are not kept: take a snapshot and watch from its seq`,
  })

/** What the feed needs from its runtime. */
export interface FeedHost<S, C extends Message, E extends Message> {
  /** Calls back with effective state; rejects when this process does not lead. */
  withState<T>(query: (state: Partition<S, C, E>) => T): Promise<T>
  publisher(): Publisher<S, C, E> | undefined
  /**
   * Last public seq committed; undefined while the state is folded again. Throws UNAVAILABLE when
   * this process does not lead.
   */
  publicSeq(): number | undefined
}

export class Feed<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: FeedHost<S, C, E>
  readonly #partition: number
  readonly #pins = new Map<string, Pin>()

  constructor(context: RuntimeContext<S, C, E>, host: FeedHost<S, C, E>) {
    this.#context = context
    this.#host = host
    this.#partition = context.environment.partition
  }

  async snapshot(request: {
    types: readonly string[]
    pageSize: number
    pageToken: string
  }): Promise<FeedPage> {
    // A page may be pinned here from the time when this process led: the leader has a fresh one.
    this.#host.publicSeq()
    const nowMs = this.#context.ports.clock.monotonicMs()
    for (const [id, pin] of this.#pins) if (pin.untilMs <= nowMs) this.#pins.delete(id)
    const [id = '', at = ''] = request.pageToken.split(':')
    if (request.pageToken === '') return this.#page(await this.#pin(request.types), 0, request)
    const index = Number(at)
    if (!this.#pins.has(id) || !Number.isSafeInteger(index) || index < 0) throw expired()
    return this.#page(id, index, request)
  }

  /** Takes the feed of the effective state as it is now: the state itself goes on changing. */
  async #pin(types: readonly string[]): Promise<string> {
    const wanted = new Set(types)
    const publisher = this.#host.publisher()
    const pinned = await this.#host.withState((state) => ({
      seq: state.framework.publicSeq,
      published: publisher?.published ?? state.framework.published,
      atMs: state.framework.lastAtMs,
      drafts: [...this.#context.definition.snapshotFeed(state.core)].filter(
        ({ type }) => wanted.size === 0 || wanted.has(type),
      ),
    }))
    let { published } = pinned
    if (pinned.seq > 0 && published.seq === 0 && publisher !== undefined) {
      // Nothing is known of the topic yet: wait for the first event to be there.
      while (publisher.first === undefined) {
        if (publisher.ended) throw expired()
        await publisher.advanced.wait()
      }
      published = { ...published, ...publisher.first }
    }
    const { clock, randomness } = this.#context.ports
    const untilMs = clock.monotonicMs() + FEED_PIN_MS
    const id = Buffer.from(randomness.bytes(8)).toString('hex')
    const { drafts, seq, atMs } = pinned
    this.#pins.set(id, { drafts, seq, atMs, offset: published.offset, untilMs })
    if (this.#pins.size > FEED_PINS_MAX) {
      const oldest = this.#pins.keys().next().value
      if (oldest !== undefined) this.#pins.delete(oldest)
    }
    return id
  }

  #page(id: string, from: number, request: { pageSize: number }): FeedPage {
    const pin = this.#pins.get(id)
    if (pin === undefined) throw expired()
    const size = Math.min(Math.max(1, request.pageSize || 500), PAGE_MAX)
    const source = this.#context.definition.name
    const partition = this.#partition
    const events = pin.drafts
      .slice(from, from + size)
      .map((draft) => ({ ...draft, source, partition, seq: 0, atMs: pin.atMs }))
    const next = from + size
    const more = next < pin.drafts.length
    if (!more) this.#pins.delete(id)
    return { events, seq: pin.seq, offset: pin.offset, nextPageToken: more ? `${id}:${next}` : '' }
  }

  /** Public events after `afterSeq`, in order and dense; empty batches are heartbeats. */
  async *watch(afterSeq: number, signal: AbortSignal): AsyncIterable<readonly PublicEvent[]> {
    const { eventLog } = this.#context.environment
    const service = this.#context.definition.name
    const address = { topic: eventsTopic(service), partition: this.#partition }
    if (afterSeq > (this.#host.publicSeq() ?? afterSeq)) throw gap(afterSeq)
    const range = await eventLog.range(address)
    // Seqs are dense from 1 and only ever repeated, so seq n + 1 is at offset n or later.
    let from = Math.max(range.start, Math.min(afterSeq, range.end))
    let seq = afterSeq
    while (!signal.aborted) {
      const batch: PublicEvent[] = []
      // What was published before this read is found by it, or is not kept.
      const published = this.#host.publisher()?.published.seq ?? 0
      try {
        const want = { from, maxBytes: WATCH_FETCH_BYTES, waitMs: HEARTBEAT_MS, signal }
        const { records } = await eventLog.fetch(address, want)
        for (const record of records) {
          const event = publicEventOf(service, this.#partition, record)
          const isGap = event.seq > seq + 1
          if (isGap && batch.length === 0) throw gap(afterSeq)
          // What comes before it is sent first; it is met again then.
          if (isGap) break
          from = record.position + 1
          if (event.seq <= seq) continue
          seq = event.seq
          batch.push(event)
        }
        if (records.length > 0 && batch.length === 0) continue
        // Nothing follows, so no later event would ever show that some are missing.
        if (records.length === 0 && seq < published) throw gap(afterSeq)
      } catch (error) {
        if (signal.aborted) return
        throw error instanceof LogOutOfRangeError ? gap(afterSeq) : error
      }
      yield batch
    }
  }
}
