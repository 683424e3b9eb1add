import type { Message } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import type { CommitFacts, RuntimeFact } from './facts.ts'
import type { Item } from './items.ts'
import type { Partition } from './partition.ts'

/** What the parts of a leading partition share; it ends with the epoch. */
export interface Session<S, C extends Message, E extends Message> {
  readonly context: RuntimeContext<S, C, E>
  readonly partition: number
  /** Aborted when the epoch ends for this process. */
  readonly signal: AbortSignal
  /**
   * The folded state; its framework part is effective always. Undefined while it is folded again.
   */
  state(): Partition<S, C, E> | undefined
  submit(item: Item<C>): void
}

/** A part of a leading partition: publisher, inputs, effects, timers. */
export interface SessionPart {
  start(): void
  /** A commit of this leader was read back. */
  onCommit?(facts: CommitFacts): void
}

/** Commits a fact of the runtime with the next batch. */
export function submitFact<S, C extends Message, E extends Message>(
  session: Session<S, C, E>,
  fact: RuntimeFact,
): void {
  session.submit({ kind: 'fact', fact, onLost: () => {} })
}
