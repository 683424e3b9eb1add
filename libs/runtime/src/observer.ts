/** What a runtime tells of its work for metrics; it is never asked for anything. */
import type { CommitFacts } from './facts.ts'

/** An own commit that was read back as effective. */
export interface ObservedCommit {
  readonly kind: CommitFacts['kind']
  /** Commands, inputs, timers and outcomes in it. */
  readonly items: number
  /** Domain events in it. */
  readonly events: number
  readonly bytes: number
  /** From its append until it was read back, ms. */
  readonly latencyMs: number
}

/** Called in the turn in which it happens: it must be quick, and must not throw. */
export interface RuntimeObserver {
  committed(commit: ObservedCommit): void
  /** A command of a caller was decided; the reason of a refusal, undefined = accepted. */
  decided(refusal: string | undefined): void
  /** An append did not succeed and is made again. */
  appendRepeated(): void
  /** The core's own round put events into the commit. */
  round(tookMs: number): void
  /** A snapshot was written, and verified or not; or it could not be written. */
  snapshot(done: { readonly verified: boolean; readonly tookMs: number }): void
}
