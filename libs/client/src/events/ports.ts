/** What a consumer stands on: where events come from, and the table they go to. */
import type { Mark, PublicEvent, SourceRecord } from './event.ts'

/** Where events come from: a topic, or a watch of the service. */
export interface EventSource {
  /**
   * Records after a mark, in the order of the topic, until the signal is aborted or the loop is
   * left. Pieces may repeat what was seen and may be empty. Throws {@link MissedEventsError} when
   * what follows the mark is certainly not kept, {@link SourceError} or `RpcError` when it cannot
   * be read. It never moves a reader to another place by itself.
   */
  read(after: Mark, signal: AbortSignal): AsyncIterable<readonly SourceRecord[]>
}

/** A page of the present state of a service, as events that bring an empty table to it. */
export interface SnapshotPage {
  readonly events: readonly PublicEvent[]
  /** Where the events go on: the same on all pages of one snapshot. */
  readonly mark: Mark
  /** Empty on the last page. */
  readonly nextPageToken: string
}

/** Who serves the present state. */
export interface SnapshotSource {
  /** A page; without a token the first one of a fresh snapshot. Throws `RpcError`. */
  page(request: { pageToken: string; signal: AbortSignal }): Promise<SnapshotPage>
}

/** Why the present state was taken over. */
export type BootstrapCause =
  /** The table is empty, and the consumer wants to begin with the present state. */
  | { readonly kind: 'FIRST' }
  /** Events between the mark and the event `found` never came. */
  | { readonly kind: 'GAP'; readonly found: number }
  /** The mark is outside of what is kept, for example below what retention left. */
  | { readonly kind: 'OUT_OF_RANGE' }

type Awaitable<T> = T | PromiseLike<T>

/**
 * The consumer's own table with its mark. Each method is one transaction. What they throw ends
 * `consumeEvents`, except that nothing is lost by it: the next run goes on at the stored mark.
 */
export interface EventTable {
  /** The stored mark; undefined when there is none. */
  load(): Awaitable<Mark | undefined>
  /**
   * Applies events in order and stores the mark. `after` is what `load` would give now: a table
   * that several processes write must compare and throw when it is not.
   */
  apply(step: {
    readonly after: Mark | undefined
    readonly events: readonly PublicEvent[]
    readonly mark: Mark
  }): Awaitable<void>
  /**
   * Puts a page of the present state aside, invisible to readers. `page` counts from 0; page 0
   * drops what other bootstraps put aside, which never came to their end.
   */
  stage(step: {
    readonly bootstrapId: string
    readonly page: number
    readonly events: readonly PublicEvent[]
  }): Awaitable<void>
  /**
   * Replaces the table by what was put aside under the id, deletes what is absent there, and stores
   * the mark.
   */
  swap(step: {
    readonly bootstrapId: string
    readonly after: Mark | undefined
    readonly mark: Mark
    readonly cause: BootstrapCause
  }): Awaitable<void>
}

/** The events after a mark are not kept: only the present state can mend it. */
export class MissedEventsError extends Error {
  override readonly name = 'MissedEventsError'
}

/** A source cannot be read. `passing`: trying again may help. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly passing: boolean
  constructor(message: string, options: { passing: boolean; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.passing = options.passing
  }
}

/**
 * The platform's history ends before the consumer's mark, and stays so: it was replaced by an older
 * one (restored from a backup, set up anew). Going on would apply other events under the same
 * numbers, so somebody has to decide: empty the table with its mark to begin anew.
 */
export class HistoryReplacedError extends Error {
  override readonly name = 'HistoryReplacedError'
}
