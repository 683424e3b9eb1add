/** Puts a batch together: decides what waits, evolves the leader's state, and collects everything that goes into one commit. */
import { COMMIT_MAX_BYTES } from '@serverless-ai/eventlog'
import {
  type Accepted,
  type DecideContext,
  type Decision,
  type Logger,
  type Message,
  type Randomness,
  type Refusal,
  RpcError,
} from '@serverless-ai/kernel'
import { refuseRequestId } from './answers.ts'
import { acceptedOutcome, Draft, eventBytes, factBytes } from './draft.ts'
import type { EventFact, Mark, ParkedFact, RuntimeFact } from './facts.ts'
import type { CommandItem, InputItem, Item, OutcomeItem, PageItem, TimerItem } from './items.ts'
import type { Mailbox } from './mailbox.ts'
import type { Partition } from './partition.ts'
import { preparedFacts, SpoiledError } from './prepare.ts'
import type { Answer, ServiceDefinition } from './types.ts'

/** Items of one batch at most, so that a batch does not hold up the event loop for long. */
const BATCH_ITEMS_MAX = 1024
/** A batch that has reached this size takes nothing more. */
const BATCH_BYTES_ENOUGH = 1024 * 1024
/** Commits between two digests in the log. */
export const DIGEST_EVERY_COMMITS = 4096

/** What `take` did with an item. */
type Fate = 'taken' | 'later' | 'gone'

type Verdict<E extends Message> =
  | { readonly kind: 'later' }
  | { readonly kind: 'decided'; readonly decision: Decision<E> }
  | { readonly kind: 'failed'; readonly refusal: Refusal }

/** A batch, or the reason why the state has to be folded again first. */
export type Composition<C extends Message, E extends Message> =
  | { readonly kind: 'ready'; readonly draft: Draft<C, E> }
  | { readonly kind: 'spoiled'; readonly taken: readonly Item<C>[] }

/** Outcome text → answer. */
export function answerOf(outcome: string, position: string): Answer {
  return { ...JSON.parse(outcome), position }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Composes batches of one partition. */
export class Composer<S, C extends Message, E extends Message> {
  readonly #definition: ServiceDefinition<S, C, E>
  readonly #randomness: Randomness
  readonly #logger: Logger
  #afterBatchOwed = false
  #afterBatchBroken = false

  constructor(init: {
    definition: ServiceDefinition<S, C, E>
    randomness: Randomness
    logger: Logger
  }) {
    this.#definition = init.definition
    this.#randomness = init.randomness
    this.#logger = init.logger
  }

  /** True when `compose` has something to do without any item. */
  get owed(): boolean {
    return this.#afterBatchOwed
  }

  /**
   * Composes the next commit; nothing may be in flight. `marks`: inputs that were taken without a decision.
   */
  compose(
    partition: Partition<S, C, E>,
    mailbox: Mailbox<C>,
    now: { atMs: number; marks: readonly Mark[] },
  ): Composition<C, E> {
    const draft = new Draft<C, E>(partition.framework, now.atMs)
    try {
      if (partition.framework.commitsSinceDigest >= DIGEST_EVERY_COMMITS) {
        const { effectivePosition: position } = partition
        const { schemaVersion } = this.#definition
        const digest = partition.digest()
        draft.fact({ type: 'StateDigest', position, schemaVersion, digest })
      }
      for (const mark of now.marks) draft.mark(mark)
      const decided = this.#takeAll(draft, partition, mailbox)
      if (decided || this.#afterBatchOwed) this.#afterBatch(draft, partition)
      return { kind: 'ready', draft }
    } catch (error) {
      if (!(error instanceof SpoiledError)) throw error
      this.#logger.log('error', 'events could not be applied; the state is folded again', {
        error: error.message,
      })
      return { kind: 'spoiled', taken: draft.taken }
    }
  }

  #takeAll(draft: Draft<C, E>, partition: Partition<S, C, E>, mailbox: Mailbox<C>): boolean {
    let decided = false
    for (let i = 0; i < BATCH_ITEMS_MAX && draft.bytes < BATCH_BYTES_ENOUGH; i += 1) {
      const item = mailbox.take()
      if (item === undefined) break
      if (item.alone === true && draft.taken.length > 0) {
        mailbox.unshift([item])
        break
      }
      draft.taken.push(item)
      const fate = this.#take(draft, partition, item)
      if (fate !== 'taken') draft.taken.pop()
      if (fate === 'later') {
        mailbox.unshift([item])
        break
      }
      if (fate === 'taken' && item.kind !== 'fact' && item.kind !== 'marks') {
        decided ||= item.kind !== 'confirm' && item.kind !== 'yield'
      }
      if (item.alone === true) break
    }
    return decided
  }

  #take(draft: Draft<C, E>, partition: Partition<S, C, E>, item: Item<C>): Fate {
    switch (item.kind) {
      case 'command':
        return this.#command(draft, partition, item)
      case 'input':
        return this.#input(draft, partition, item)
      case 'page':
        return this.#page(draft, partition, item)
      case 'timer':
        return this.#timer(draft, partition, item)
      case 'outcome':
        return this.#outcome(draft, partition, item)
      case 'fact':
        draft.fact(item.fact)
        return 'taken'
      case 'marks':
        return 'taken'
      case 'confirm':
      case 'yield': {
        draft.wanted = item.kind === 'yield' ? 'yield' : 'tick'
        const { onConfirmed } = item
        draft.releases.push((at) => onConfirmed(partition.tokenAt(at.position, at.publicSeq)))
        return 'taken'
      }
    }
  }

  #command(draft: Draft<C, E>, partition: Partition<S, C, E>, item: CommandItem<C>): Fate {
    if (item.cancelled) return 'gone'
    const { requestId, bodyHash } = item
    if (requestId !== '') {
      const refusal = this.#repeated(draft, partition, item)
      if (refusal === 'gone') return 'gone'
      if (refusal !== undefined) return this.#answer(draft, partition, item, { refusal })
    }
    const verdict = this.#run(draft, partition, item, { command: item.command, facts: [] })
    if (verdict.kind === 'later') return 'later'
    const request = requestId === '' ? undefined : { requestId, bodyHash }
    if (verdict.kind === 'decided' && verdict.decision.accepted) {
      const outcome = acceptedOutcome(verdict.decision.answer)
      return this.#answer(draft, partition, item, { outcome, request })
    }
    const refusal = verdict.kind === 'failed' ? verdict.refusal : refusalOf(verdict.decision)
    if (verdict.kind === 'failed' && refusal.reason === 'INTERNAL') {
      draft.fact(parkedCommand(item.command, refusal))
    }
    return this.#answer(draft, partition, item, { refusal, request })
  }

  /** What a request id that was seen before, or cannot be taken, comes to. */
  #repeated(
    draft: Draft<C, E>,
    partition: Partition<S, C, E>,
    item: CommandItem<C>,
  ): Refusal | 'gone' | undefined {
    const reason = refuseRequestId(item.requestId, draft.atMs)
    if (reason !== undefined) return { reason }
    const kept = partition.framework.answers.get(item.requestId)
    const sibling = draft.requests.get(item.requestId)
    const known = kept ?? sibling
    if (known === undefined) {
      draft.requests.set(item.requestId, item)
      return undefined
    }
    if (Buffer.compare(known.bodyHash, item.bodyHash) !== 0) return { reason: 'REQUEST_ID_REUSED' }
    if (sibling !== undefined) {
      sibling.waiters.push(...item.waiters)
      return 'gone'
    }
    if (kept !== undefined) {
      const token = partition.tokenAt(kept.position, kept.publicSeq)
      for (const waiter of item.waiters) waiter.resolve(answerOf(kept.outcome, token))
    }
    return 'gone'
  }

  #answer(
    draft: Draft<C, E>,
    partition: Partition<S, C, E>,
    item: CommandItem<C>,
    with_: {
      outcome?: string
      refusal?: Refusal
      request?: { requestId: string; bodyHash: Uint8Array } | undefined
    },
  ): Fate {
    const outcome = with_.outcome ?? JSON.stringify({ ok: false, refusal: with_.refusal })
    item.decided = true
    draft.answer(outcome, with_.request)
    draft.releases.push((at) => {
      const token = partition.tokenAt(at.position, at.publicSeq)
      for (const waiter of item.waiters) waiter.resolve(answerOf(outcome, token))
    })
    return 'taken'
  }

  #input(draft: Draft<C, E>, partition: Partition<S, C, E>, item: InputItem<C>): Fate {
    if (item.command !== undefined) {
      const verdict = this.#run(draft, partition, item, { command: item.command, facts: [] })
      if (verdict.kind === 'later') return 'later'
      if (verdict.kind === 'failed') this.#park(draft, item.parked, verdict.refusal)
    } else if (item.undecodable) {
      draft.fact(item.parked)
    }
    draft.mark(item.mark)
    draft.releases.push(item.onCommitted)
    return 'taken'
  }

  #page(draft: Draft<C, E>, partition: Partition<S, C, E>, item: PageItem<C>): Fate {
    const { command, facts } = item
    if (command === undefined) {
      for (const fact of facts) draft.fact(fact)
    } else {
      const verdict = this.#run(draft, partition, item, { command, facts })
      if (verdict.kind === 'later') return 'later'
      if (verdict.kind === 'failed') {
        for (const fact of facts) draft.fact(fact)
        this.#park(draft, item.parked, verdict.refusal)
      }
    }
    if (item.mark !== undefined) draft.mark(item.mark)
    draft.releases.push(item.onCommitted)
    return 'taken'
  }

  #timer(draft: Draft<C, E>, partition: Partition<S, C, E>, item: TimerItem): Fate {
    if (draft.timerDueMs(item.key) !== item.dueMs) return 'gone'
    const cleared: RuntimeFact = { type: 'TimerCleared', key: item.key }
    let name = 'timer'
    let command: C | undefined
    try {
      command = this.#definition.onTimer?.(item.key)
      name = command?.type ?? name
    } catch (error) {
      this.#logger.log('error', 'a timer has no command', {
        timer: item.key,
        error: message(error),
      })
    }
    const verdict =
      command === undefined
        ? failed(`no command for timer '${item.key}'`)
        : this.#run(draft, partition, item, { command, facts: [cleared] })
    if (verdict.kind === 'later') return 'later'
    if (verdict.kind === 'failed') {
      draft.fact(cleared)
      this.#park(draft, parkedFact({ source: 'timer', name, key: item.key }), verdict.refusal)
    }
    return 'taken'
  }

  #outcome(draft: Draft<C, E>, partition: Partition<S, C, E>, item: OutcomeItem<C>): Fate {
    const { key, command, effectId } = item
    if (partition.framework.effects.get(key)?.id !== effectId || !draft.hasEffect(key)) {
      return 'gone'
    }
    const settled: RuntimeFact = { type: 'EffectSettled', key }
    const verdict = this.#run(draft, partition, item, { command, facts: [settled] })
    if (verdict.kind === 'later') return 'later'
    if (verdict.kind === 'failed') {
      draft.fact(settled)
      const content = JSON.stringify(command).slice(0, 4096)
      const fact = { ...parkedFact({ source: 'effect', name: command.type, key }), content }
      this.#park(draft, fact, verdict.refusal)
    } else if (!verdict.decision.accepted) {
      const { refusal } = verdict.decision
      this.#logger.log('warn', 'the outcome of an effect was refused', { effect: key, refusal })
    }
    return 'taken'
  }

  #park(draft: Draft<C, E>, fact: ParkedFact, refusal: Refusal): void {
    const error = String(refusal.details?.['error'] ?? refusal.reason)
    this.#logger.log('error', 'an input was parked', { source: fact.source, key: fact.key, error })
    draft.fact({ ...fact, error })
  }

  /** Decides a command and, when it is accepted, evolves the state. `facts` come before those of the decision. */
  #run(
    draft: Draft<C, E>,
    partition: Partition<S, C, E>,
    item: Item<C>,
    what: { command: C; facts: readonly RuntimeFact[] },
  ): Verdict<E> {
    if (item.poison !== undefined) return { kind: 'failed', refusal: item.poison }
    let decision: Decision<E>
    let facts: readonly RuntimeFact[]
    let events: readonly EventFact[]
    try {
      decision = this.#definition.decider.decide(
        what.command,
        partition.core,
        this.#context(draft.atMs),
      )
      if (!decision.accepted) {
        // A refused command still clears its timer, settles its effect, ends its bootstrap.
        for (const fact of what.facts) draft.fact(fact)
        return { kind: 'decided', decision }
      }
      facts = [...what.facts, ...preparedFacts(draft, decision, what.facts)]
      events = this.#encode(decision.events)
    } catch (error) {
      const { type } = what.command
      this.#logger.log('error', 'a command could not be decided', { type, error: message(error) })
      return failed(message(error))
    }
    const bytes = this.#bytes(decision, events, facts)
    if (draft.bytes + bytes > COMMIT_MAX_BYTES) {
      if (draft.taken.length > 1 || draft.eventCount > 0) return { kind: 'later' }
      const details = { bytes, maxBytes: COMMIT_MAX_BYTES }
      return { kind: 'failed', refusal: { reason: 'COMMAND_TOO_LARGE', details } }
    }
    this.#evolve(draft, partition, { decision, events, item })
    for (const fact of facts) draft.fact(fact)
    return { kind: 'decided', decision }
  }

  #bytes(
    decision: Accepted<E>,
    events: readonly EventFact[],
    facts: readonly RuntimeFact[],
  ): number {
    let bytes = Buffer.byteLength(acceptedOutcome(decision.answer)) + 128
    for (const event of events) bytes += eventBytes(event)
    for (const fact of facts) bytes += factBytes(fact)
    return bytes
  }

  #encode(events: readonly E[]): EventFact[] {
    const version = this.#definition.schemaVersion
    return events.map((event) => ({ type: event.type, version, data: JSON.stringify(event) }))
  }

  /** Evolves the state; from here on it is ahead of the log. A failure spoils it. */
  #evolve(
    draft: Draft<C, E>,
    partition: Partition<S, C, E>,
    what: { decision: Accepted<E>; events: readonly EventFact[]; item: Item<C> | undefined },
  ): void {
    const { item } = what
    const { decider } = this.#definition
    try {
      for (const [index, event] of what.decision.events.entries()) {
        partition.core = decider.evolve(partition.core, event, draft.atMs)
        draft.event(what.events[index]!, event)
        for (const one of this.#definition.publish(event, partition.core, draft.atMs)) {
          draft.public(one)
        }
      }
    } catch (error) {
      if (item === undefined) this.#afterBatchBroken = true
      else item.poison = { reason: 'INTERNAL', details: { error: message(error) } }
      throw new SpoiledError(message(error))
    }
    if (draft.bytes <= COMMIT_MAX_BYTES) return
    if (item === undefined) this.#afterBatchBroken = true
    else if (item.alone === true || draft.taken.length === 1) {
      const details = { bytes: draft.bytes, maxBytes: COMMIT_MAX_BYTES }
      item.poison = { reason: 'COMMAND_TOO_LARGE', details }
    } else item.alone = true
    throw new SpoiledError('the commit came out too large with its public events')
  }

  /** The core's own round at the end of a batch. One that fails is left out once; the commands of its batch are not refused for it. */
  #afterBatch(draft: Draft<C, E>, partition: Partition<S, C, E>): void {
    const owed = this.#afterBatchOwed
    this.#afterBatchOwed = false
    if (this.#afterBatchBroken) {
      this.#afterBatchBroken = false
      return
    }
    let decision: Accepted<E> | undefined
    let facts: readonly RuntimeFact[] = []
    let events: readonly EventFact[] = []
    try {
      decision = this.#definition.decider.afterBatch?.(partition.core, this.#context(draft.atMs))
      if (decision === undefined) return
      facts = preparedFacts(draft, decision, [])
      events = this.#encode(decision.events)
    } catch (error) {
      this.#logger.log('error', 'the round after the batch failed', { error: message(error) })
      return
    }
    const bytes = this.#bytes(decision, events, facts)
    if (draft.bytes + bytes > COMMIT_MAX_BYTES) {
      // Not beside these commands: alone in the next commit.
      if (!owed && !draft.empty) this.#afterBatchOwed = true
      else this.#logger.log('error', 'the round after the batch is too large', { bytes })
      return
    }
    this.#evolve(draft, partition, { decision, events, item: undefined })
    for (const fact of facts) draft.fact(fact)
  }

  #context(atMs: number): DecideContext {
    return { atMs, nonce: Buffer.from(this.#randomness.bytes(16)).toString('hex') }
  }
}

function refusalOf(decision: Decision<Message>): Refusal {
  if (!decision.accepted) return decision.refusal
  throw new RpcError({ code: 'INTERNAL', reason: 'INTERNAL', message: 'an accepted refusal' })
}

const failed = (error: string): { kind: 'failed'; refusal: Refusal } => ({
  kind: 'failed',
  refusal: { reason: 'INTERNAL', details: { error } },
})

/** Template of a parked fact. */
export const parkedFact = (init: { source: string; name: string; key: string }): ParkedFact => ({
  type: 'InputParked',
  seq: 0,
  offset: 0,
  error: '',
  content: '',
  ...init,
})

function parkedCommand(command: Message, refusal: Refusal): ParkedFact {
  const error = String(refusal.details?.['error'] ?? refusal.reason)
  const content = JSON.stringify(command).slice(0, 4096)
  return { ...parkedFact({ source: 'command', name: command.type, key: '' }), error, content }
}
