import type { Logger, Message } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import type { CommitFacts } from './facts.ts'
import type { Partition } from './partition.ts'
import type { EffectiveChange } from './types.ts'

/**
 * Those who hear of effective records and of leadership. A listener that throws harms nobody else.
 */
export class Observers<S, C extends Message, E extends Message> {
  readonly #logger: Logger
  readonly #effective = new Set<(change: EffectiveChange<S, E>) => void>()
  readonly #leadership = new Set<(leading: boolean, epoch: number) => void>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  onEffective(listener: (change: EffectiveChange<S, E>) => void): () => void {
    this.#effective.add(listener)
    return () => this.#effective.delete(listener)
  }

  onLeadership(listener: (leading: boolean, epoch: number) => void): () => void {
    this.#leadership.add(listener)
    return () => this.#leadership.delete(listener)
  }

  /** A record with domain events was applied. */
  effective(
    commit: { position: number; facts: CommitFacts; events: readonly E[] },
    at: { state: Partition<S, C, E>; replaying: boolean },
  ): void {
    const { position, facts, events } = commit
    if (events.length === 0 || this.#effective.size === 0) return
    const { epoch, atMs } = facts
    const { replaying } = at
    const { token, core: state } = at.state
    const change = { position, token, epoch, atMs, events, state, replaying }
    for (const listener of this.#effective) this.#tell(() => listener(change))
  }

  leadership(leading: boolean, epoch: number): void {
    for (const listener of this.#leadership) this.#tell(() => listener(leading, epoch))
  }

  #tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#logger.log('error', 'a listener failed', { error: errorText(error) })
    }
  }
}
