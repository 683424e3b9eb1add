/**
 * Rules of the log protocol that a test leaves out, to see that the checks notice. Each key is one
 * way to break the protocol.
 */
export type Breakage =
  | 'claimByName'
  | 'unnumberedTicks'
  | 'claimWithPrev'
  | 'yieldInFlight'
  | 'answerFromInFlight'
  | 'refuseWithoutCommit'
  | 'pruneByCommitTime'
  | 'trimIgnoresPublisher'
  | 'sharedSnapshotSlots'
  | 'manyPublishes'
  | 'markSeqOnly'
  | 'delayedStart'
  | 'noLeaseMargin'
  | 'noKillBudget'
  | 'voidRemovesRecord'
  | 'reuseSequence'
  | 'silentReset'
  | 'readsInFlight'
  | 'publishInFlight'
  | 'acceptOldGeneration'

/** What is broken; empty = the protocol as it is. */
export type Broken = Readonly<Partial<Record<Breakage, true>>>

/** A promise of the protocol did not hold. */
export class PromiseBroken extends Error {
  override readonly name = 'PromiseBroken'
  /** `P1` to `P10`. */
  readonly promise: string
  constructor(promise: string, message: string) {
    super(`${promise}: ${message}`)
    this.promise = promise
  }
}

/** Throws {@link PromiseBroken} unless `condition` holds. */
export function promised(condition: boolean, promise: string, message: () => string): void {
  if (!condition) throw new PromiseBroken(promise, message())
}
