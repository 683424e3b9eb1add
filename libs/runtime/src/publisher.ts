/**
 * Republishes public events in order, one request in flight; what is published is folded now and
 * then, never while idle.
 */
import { AppendRefusedError, eventsTopic } from '@serverless-ai/eventlog'
import type { Message, Timer } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import type { CommitFacts } from './facts.ts'
import type { Unpublished } from './framework.ts'
import { entryOf } from './public-events.ts'
import { type Session, type SessionPart, submitFact } from './session.ts'
import { Signal } from './signal.ts'

/** Folded after so many events, or this long after the first one that is not folded. */
const RECORD_EVERY_EVENTS = 1000
const RECORD_AFTER_MS = 10_000
const REQUEST_EVENTS_MAX = 4000
const REQUEST_BYTES_MAX = 1024 * 1024
/** So long does a request wait for more: who waits for an answer is answered meanwhile, ms. */
export const PUBLISH_LINGER_MS = 6
const RETRY_MS = 50
const RETRY_MAX_MS = 2000
/** A request that takes so long is no hiccup of the log any more: operators are told, ms. */
const STUCK_MS = 5_000

/** How far this leader knows the events topic to go. */
export interface PublishedPoint {
  readonly seq: number
  /** Offset of an event at or below `seq`; meaningless while `seq` is 0. */
  readonly offset: number
  /** Position of its commit. */
  readonly position: number
}

export class Publisher<S, C extends Message, E extends Message> implements SessionPart {
  readonly #session: Session<S, C, E>
  /** Notified after each request. */
  readonly advanced = new Signal()
  /** The first event this leader published: a lower bound for where the later ones are. */
  first: { readonly seq: number; readonly offset: number } | undefined
  #at: PublishedPoint = { seq: 0, offset: 0, position: -1 }
  #running = false
  /** The request that is under way: since when, and why it was not taken yet. */
  #request: { readonly sinceMs: number; readonly why: string } | undefined
  #timer: Timer | undefined
  #lingering: Timer | undefined
  #recording = 0

  constructor(session: Session<S, C, E>) {
    this.#session = session
  }

  get published(): PublishedPoint {
    return this.#at
  }

  start(): void {
    const framework = this.#session.state()?.framework
    if (framework !== undefined) this.#at = framework.published
    this.#recording = this.#at.seq
    this.#session.signal.addEventListener('abort', () => this.#close(), { once: true })
    this.kick()
  }

  onCommit(facts: CommitFacts): void {
    if (facts.publics.length === 0 || this.#running) return
    const { timers } = this.#session.context.ports
    this.#lingering ??= timers.after(PUBLISH_LINGER_MS, () => this.kick())
  }

  #close(): void {
    this.#timer?.cancel()
    this.#endLingering()
    this.advanced.notify()
  }

  /** Folds what is published now, if it is news. Called before a graceful end. */
  record(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#at.seq <= this.#recording) return
    this.#recording = this.#at.seq
    submitFact(this.#session, { type: 'PublishedThrough', ...this.#at })
  }

  /** Why nothing has been published for a while although something waits; empty = all is well. */
  get problem(): string {
    const { context, partition } = this.#session
    if (this.#request === undefined) return ''
    const { sinceMs, why } = this.#request
    const forMs = context.ports.clock.monotonicMs() - sinceMs
    if (forMs < STUCK_MS) return ''
    const topic = `${eventsTopic(context.definition.name)}/${partition}`
    return `no public event reaches ${topic} for ${Math.floor(forMs / 1_000)} s: ${why}`
  }

  /** The epoch is over; `advanced` comes no more. */
  get ended(): boolean {
    return this.#session.signal.aborted
  }

  /** Nothing is waiting to be published. */
  get idle(): boolean {
    return this.#batch().length === 0
  }

  #batch(): readonly Unpublished[] {
    const waiting = this.#session.state()?.framework.unpublished ?? []
    const first = waiting[0]
    if (first === undefined) return []
    const from = Math.max(0, this.#at.seq - first.seq + 1)
    const batch: Unpublished[] = []
    let bytes = 0
    for (let i = from; i < waiting.length && batch.length < REQUEST_EVENTS_MAX; i += 1) {
      bytes += waiting[i]!.payload.byteLength
      if (batch.length > 0 && bytes > REQUEST_BYTES_MAX) break
      batch.push(waiting[i]!)
    }
    return batch
  }

  /** Publishes what is waiting. */
  kick(): void {
    this.#endLingering()
    if (!this.#running) void this.#run()
  }

  #endLingering(): void {
    this.#lingering?.cancel()
    this.#lingering = undefined
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      while (!this.#session.signal.aborted) {
        const batch = this.#batch()
        if (batch.length === 0) return
        const position = await this.#publish(batch)
        if (position === undefined) return
        const last = batch[batch.length - 1]!
        const offset = position + batch.length - 1
        this.first ??= { seq: batch[0]!.seq, offset: position }
        this.#at = { seq: last.seq, offset, position: last.position }
        this.#news()
        this.advanced.notify()
      }
    } finally {
      this.#running = false
    }
  }

  /**
   * Position of the first entry; the same request again while its outcome is unknown: readers drop
   * what they have seen.
   */
  async #publish(batch: readonly Unpublished[]): Promise<number | undefined> {
    const { context, partition, signal } = this.#session
    const service = context.definition.name
    const address = { topic: eventsTopic(service), partition }
    const { traces } = context
    const entries = batch.map((event) =>
      entryOf({ service, partition, event, trace: traces?.ofPublic(event.seq) }),
    )
    const sinceMs = context.ports.clock.monotonicMs()
    this.#request = { sinceMs, why: 'the log does not answer' }
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
      try {
        const { position } = await context.environment.eventLog.append(address, entries)
        this.#request = undefined
        return position
      } catch (error) {
        if (signal.aborted) return undefined
        if (error instanceof AppendRefusedError && error.code === 'CLOSED') return undefined
        const why = errorText(error)
        this.#request = { sinceMs, why }
        context.logger.log('warn', 'publishing has to be repeated', { error: why })
      }
      try {
        await context.ports.timers.sleep(pauseMs, signal)
      } catch {
        return undefined
      }
    }
  }

  #news(): void {
    if (this.#at.seq - this.#recording >= RECORD_EVERY_EVENTS) {
      this.record()
      return
    }
    const { timers } = this.#session.context.ports
    this.#timer ??= timers.after(RECORD_AFTER_MS, () => this.record())
  }
}
