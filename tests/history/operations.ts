/** What users of a platform did and were answered, for the history checker. */

interface Called {
  /** Who called; a user does one thing after the other. */
  readonly user: string
  /** When the first attempt began, and when the last answer came, ms since the epoch. */
  readonly invokedMs: number
  readonly returnedMs: number
}

/**
 * A command. All attempts carry one request id. `unknown` = the user gave up before any answer
 * settled it.
 */
export interface Command extends Called {
  readonly kind: 'submit' | 'cancel'
  readonly requestId: string
  /** Empty where no answer named it. */
  readonly jobId: string
  readonly outcome: 'accepted' | 'refused' | 'unknown'
  /** Of a refusal. */
  readonly reason: string
  /** Of an acceptance: position of the commit or a later one. */
  readonly position: string
}

/** A read that was answered. */
export interface Read extends Called {
  readonly kind: 'read'
  readonly jobId: string
  /** Position of an earlier answer; empty = whatever the replica has. */
  readonly minPosition: string
  readonly found: boolean
  /** `QUEUED`, `CANCELLED`, …; empty when not found. */
  readonly state: string
  /** Position it was read at. */
  readonly position: string
}

export type Operation = Command | Read

/** What users did, in the order in which it returned. */
export type History = readonly Operation[]
