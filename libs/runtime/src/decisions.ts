/**
 * Carries out one decision of the core inside a batch: decide, check the size, evolve, public
 * events.
 */
import { COMMIT_MAX_BYTES } from '@serverless-ai/eventlog'
import {
  type Accepted,
  type DecideContext,
  type Decision,
  invariant,
  type Logger,
  type Message,
  type Randomness,
  type Refusal,
} from '@serverless-ai/kernel'
import { acceptedOutcome, type Draft, eventBytes, factBytes } from './draft.ts'
import { errorText } from './errors.ts'
import type { EventFact, RuntimeFact } from './facts.ts'
import type { Item } from './items.ts'
import { levelOf } from './levels.ts'
import type { Partition } from './partition.ts'
import { preparedFacts, SpoiledError } from './prepare.ts'
import type { ServiceDefinition } from './types.ts'

/** What became of a command. */
export type Verdict<E extends Message> =
  /** It does not fit into this commit any more. */
  | { readonly kind: 'later' }
  | { readonly kind: 'decided'; readonly decision: Decision<E> }
  /** It threw, or cannot be committed; nothing is changed. */
  | { readonly kind: 'failed'; readonly refusal: Refusal }

/** The batch and the state it works on. */
export interface Batch<S, C extends Message, E extends Message> {
  readonly draft: Draft<C, E>
  readonly state: Partition<S, C, E>
  /** Feature level that the commit is decided by. */
  readonly level: number
}

/** What a decider needs around it. */
export interface DecisionsInit<S, C extends Message, E extends Message> {
  readonly definition: ServiceDefinition<S, C, E>
  readonly randomness: Randomness
  readonly logger: Logger
}

export const failed = (error: string): { kind: 'failed'; refusal: Refusal } => ({
  kind: 'failed',
  refusal: { reason: 'INTERNAL', details: { error } },
})

export class Decisions<S, C extends Message, E extends Message> {
  readonly #definition: ServiceDefinition<S, C, E>
  readonly #randomness: Randomness
  readonly #logger: Logger
  /** The round did not fit beside the commands of its batch: the next commit is its own. */
  #roundOwed = false
  /** The last round could not be applied: it is left out once. */
  #roundBroken = false

  constructor(init: DecisionsInit<S, C, E>) {
    this.#definition = init.definition
    this.#randomness = init.randomness
    this.#logger = init.logger
  }

  get roundOwed(): boolean {
    return this.#roundOwed
  }

  /**
   * Decides a command and, when it is accepted, evolves the state. `facts` come before those of the
   * decision, also when it is refused. Throws {@link SpoiledError} when the state has to be folded
   * again; the item is marked with what it comes to then.
   */
  run(
    { draft, state, level }: Batch<S, C, E>,
    item: Item<C>,
    what: { command: C; facts: readonly RuntimeFact[] },
  ): Verdict<E> {
    if (item.poison !== undefined) return { kind: 'failed', refusal: item.poison }
    const { decider } = this.#definition
    let decision: Decision<E>
    let facts: readonly RuntimeFact[]
    let events: readonly EventFact[]
    try {
      decision = decider.decide(what.command, state.core, this.#context({ draft, level }))
      if (!decision.accepted) {
        for (const fact of what.facts) draft.fact(fact)
        return { kind: 'decided', decision }
      }
      facts = [...what.facts, ...preparedFacts(draft, decision, what.facts)]
      events = this.#encode(decision.events, level)
    } catch (error) {
      const { type } = what.command
      this.#logger.log('error', 'a command could not be decided', { type, error: errorText(error) })
      return failed(errorText(error))
    }
    const bytes = sizeOf(decision, { events, facts })
    if (draft.bytes + bytes > COMMIT_MAX_BYTES) {
      if (draft.taken.length > 1) return { kind: 'later' }
      const details = { bytes, maxBytes: COMMIT_MAX_BYTES }
      return { kind: 'failed', refusal: { reason: 'COMMAND_TOO_LARGE', details } }
    }
    this.#evolve({ draft, state }, { decision, events, item })
    for (const fact of facts) draft.fact(fact)
    return { kind: 'decided', decision }
  }

  /**
   * The core's own round at the end of a batch. One that fails is left out once; the commands of
   * its batch are not refused for it.
   */
  round({ draft, state, level }: Batch<S, C, E>): void {
    const owed = this.#roundOwed
    this.#roundOwed = false
    if (this.#roundBroken) {
      this.#roundBroken = false
      return
    }
    let decision: Accepted<E> | undefined
    let facts: readonly RuntimeFact[] = []
    let events: readonly EventFact[] = []
    try {
      const context = this.#context({ draft, level })
      decision = this.#definition.decider.afterBatch?.(state.core, context)
      if (decision === undefined) return
      facts = preparedFacts(draft, decision, [])
      events = this.#encode(decision.events, level)
    } catch (error) {
      this.#logger.log('error', 'the round after the batch failed', { error: errorText(error) })
      return
    }
    const bytes = sizeOf(decision, { events, facts })
    if (draft.bytes + bytes > COMMIT_MAX_BYTES) {
      if (!owed && !draft.empty) this.#roundOwed = true
      else this.#logger.log('error', 'the round after the batch is too large', { bytes })
      return
    }
    this.#evolve({ draft, state }, { decision, events, item: undefined })
    for (const fact of facts) draft.fact(fact)
  }

  /**
   * The events are written down before they are evolved: what the core does to the objects later
   * changes nothing that is committed. Throws for an event of a level that the log is not at: a
   * version that does not know it could not fold it.
   */
  #encode(events: readonly E[], inUse: number): EventFact[] {
    const version = this.#definition.schemaVersion
    if (this.#definition.eventLevels !== undefined) {
      for (const { type } of events) {
        const level = levelOf(this.#definition, type)
        invariant(level <= inUse, `'${type}' needs feature level ${level}, the log is at ${inUse}`)
      }
    }
    return events.map((event) => ({ type: event.type, version, data: JSON.stringify(event) }))
  }

  /** From here on the state is ahead of the log. A failure spoils it. */
  #evolve(
    { draft, state }: Pick<Batch<S, C, E>, 'draft' | 'state'>,
    what: { decision: Accepted<E>; events: readonly EventFact[]; item: Item<C> | undefined },
  ): void {
    const { item } = what
    const { decider } = this.#definition
    try {
      for (const [index, event] of what.decision.events.entries()) {
        state.core = decider.evolve(state.core, event, draft.atMs)
        draft.event(what.events[index]!, event)
        for (const one of this.#definition.publish(event, state.core, draft.atMs)) draft.public(one)
      }
    } catch (error) {
      if (item === undefined) this.#roundBroken = true
      else item.poison = failed(errorText(error)).refusal
      throw new SpoiledError(errorText(error))
    }
    if (draft.bytes > COMMIT_MAX_BYTES) this.#tooLarge(draft, item)
  }

  /**
   * Public events are known only now: alone in a commit the item may fit, and if not it is refused.
   */
  #tooLarge(draft: Draft<C, E>, item: Item<C> | undefined): never {
    if (item === undefined) {
      this.#roundBroken = true
    } else if (item.alone === true || draft.taken.length === 1) {
      const details = { bytes: draft.bytes, maxBytes: COMMIT_MAX_BYTES }
      item.poison = { reason: 'COMMAND_TOO_LARGE', details }
    } else {
      item.alone = true
    }
    throw new SpoiledError('the commit came out too large with its public events')
  }

  #context({ draft, level }: Pick<Batch<S, C, E>, 'draft' | 'level'>): DecideContext {
    const nonce = Buffer.from(this.#randomness.bytes(16)).toString('hex')
    return { atMs: draft.atMs, nonce, featureLevel: level }
  }
}

/** Bytes that a decision adds to its commit, but for its public events: an upper bound. */
function sizeOf(
  decision: Accepted<Message>,
  parts: { events: readonly EventFact[]; facts: readonly RuntimeFact[] },
): number {
  let bytes = Buffer.byteLength(acceptedOutcome(decision.answer)) + 128
  for (const event of parts.events) bytes += eventBytes(event)
  for (const fact of parts.facts) bytes += factBytes(fact)
  return bytes
}
