/** What a checker is. */
import type { Ledger } from './ledger.ts'
import type { ClaimSeen, CommitSeen, EventSeen, OutsideObservation } from './seen.ts'

/** Tells of a breach: whom it is about, and what was promised and seen. */
export type TellAlarm = (about: string, message: string) => void

/**
 * A checker. A commit is told as a whole first, then each of its public events in order. The
 * ledger holds what was told before: a hook does not yet find there what it is told.
 */
export interface Watcher {
  claimed?(claim: ClaimSeen): void
  committed?(commit: CommitSeen): void
  event?(event: EventSeen): void
  /** Everything that is no record. */
  observe?(observation: OutsideObservation): void
}

/** Settings of the checkers. */
export interface CheckerOptions {
  /** Longest time of an append while no fault slows it, ms; default 50. */
  readonly appendMs: number
}

/** What a checker is made with. */
export interface WatcherInit {
  readonly alarm: TellAlarm
  readonly ledger: Ledger
  readonly options: CheckerOptions
}

/** Makes a checker. */
export type WatcherFactory = (init: WatcherInit) => Watcher
