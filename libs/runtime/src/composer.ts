/**
 * Puts a batch together: takes what waits, has it decided, and collects everything that goes into
 * one commit.
 */
import type { Clock, Decision, Logger, Message, Refusal } from '@serverless-ai/kernel'
import { refuseRequestId } from './answers.ts'
import { type Batch, Decisions, type DecisionsInit, failed } from './decisions.ts'
import { acceptedOutcome, Draft } from './draft.ts'
import { errorText } from './errors.ts'
import { type Mark, type ParkedFact, parkedFact, type RuntimeFact } from './facts.ts'
import type {
  CommandItem,
  ConfirmItem,
  InputItem,
  Item,
  OutcomeItem,
  PageItem,
  TimerItem,
} from './items.ts'
import { FIRST_LEVEL, levelInUse } from './levels.ts'
import type { Mailbox } from './mailbox.ts'
import type { RuntimeObserver } from './observer.ts'
import { Pace } from './pace.ts'
import type { Partition } from './partition.ts'
import { SpoiledError } from './prepare.ts'
import type { Answer, PositionToken, ServiceDefinition } from './types.ts'

/** Items of one batch at most, so that a batch does not hold up the event loop for long. */
const BATCH_ITEMS_MAX = 1024
/** A batch that has reached this size takes nothing more. */
const BATCH_BYTES_ENOUGH = 1024 * 1024
/** Commits between two digests in the log. */
export const DIGEST_EVERY_COMMITS = 4096

/** What became of an item: it is in the commit, it waits for the next one, or it needs none. */
type Fate = 'taken' | 'later' | 'gone'

/** A batch, or the reason why the state has to be folded again first. */
export type Composition<C extends Message, E extends Message> =
  | { readonly kind: 'ready'; readonly draft: Draft<C, E> }
  | { readonly kind: 'spoiled'; readonly taken: readonly Item<C>[] }

const answerOf = (outcome: string, position: string): Answer => ({
  ...JSON.parse(outcome),
  position,
})

/** Composes batches of one partition. */
export class Composer<S, C extends Message, E extends Message> {
  readonly #definition: ServiceDefinition<S, C, E>
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #decisions: Decisions<S, C, E>
  readonly #observer: RuntimeObserver | undefined
  readonly #digests = new Pace()
  readonly #newLogLevel: number

  constructor(
    init: DecisionsInit<S, C, E> & {
      readonly clock: Clock
      readonly observer?: RuntimeObserver | undefined
      /** Level that a log begins with. */
      readonly newLogLevel: number
    },
  ) {
    this.#newLogLevel = init.newLogLevel
    this.#clock = init.clock
    this.#observer = init.observer
    this.#definition = init.definition
    this.#logger = init.logger
    this.#decisions = new Decisions(init)
  }

  /** True when `compose` has something to do without any item. */
  get owed(): boolean {
    return this.#decisions.roundOwed
  }

  /**
   * Composes the next commit; nothing may be in flight. `marks`: inputs that were taken without a
   * decision.
   */
  compose(
    state: Partition<S, C, E>,
    mailbox: Mailbox<C>,
    now: { atMs: number; marks: readonly Mark[] },
  ): Composition<C, E> {
    const { framework } = state
    const { pristine } = framework
    const level = pristine ? this.#newLogLevel : levelInUse(framework)
    const draft = new Draft<C, E>(framework, now.atMs)
    const batch = { draft, state, level }
    try {
      this.#digest(batch)
      for (const mark of now.marks) draft.mark(mark)
      const decided = this.#takeAll(batch, mailbox)
      if (decided || this.#decisions.roundOwed) this.#round(batch)
      if (!draft.empty || draft.wanted !== 'normal') this.#takePatient(batch, mailbox)
      if (pristine && !draft.empty && level > FIRST_LEVEL) {
        draft.fact({ type: 'FeatureLevelRaised', level })
      }
      return { kind: 'ready', draft }
    } catch (error) {
      if (!(error instanceof SpoiledError)) throw error
      this.#logger.log('error', 'events could not be applied; the state is folded again', {
        error: error.message,
      })
      return { kind: 'spoiled', taken: draft.taken }
    }
  }

  #round(batch: Batch<S, C, E>): void {
    if (this.#observer === undefined) {
      this.#decisions.round(batch)
      return
    }
    const startMs = this.#clock.monotonicMs()
    const { eventCount } = batch.draft
    this.#decisions.round(batch)
    if (batch.draft.eventCount > eventCount) {
      this.#observer.round(this.#clock.monotonicMs() - startMs)
    }
  }

  /**
   * A digest of the state before this commit, every so many commits; less often where it takes
   * long.
   */
  #digest({ draft, state }: Batch<S, C, E>): void {
    const startMs = this.#clock.monotonicMs()
    if (state.framework.commitsSinceDigest < DIGEST_EVERY_COMMITS) return
    if (!this.#digests.ready(startMs)) return
    const { effectivePosition: position } = state
    const { schemaVersion } = this.#definition
    draft.fact({ type: 'StateDigest', position, schemaVersion, digest: state.digest() })
    const endMs = this.#clock.monotonicMs()
    this.#digests.took(endMs - startMs, endMs)
  }

  /** True when something was decided. */
  #takeAll(batch: Batch<S, C, E>, mailbox: Mailbox<C>): boolean {
    const { draft } = batch
    let decided = false
    for (let i = 0; i < BATCH_ITEMS_MAX && draft.bytes < BATCH_BYTES_ENOUGH; i += 1) {
      const item = mailbox.take()
      if (item === undefined) break
      const crowded = item.alone === true && draft.taken.length > 0
      draft.taken.push(item)
      draft.trace = item.trace
      const fate = crowded ? 'later' : this.#take(batch, item)
      draft.trace = undefined
      if (fate !== 'taken') draft.taken.pop()
      if (fate === 'later') {
        mailbox.unshift([item])
        break
      }
      decided ||= fate === 'taken' && DECIDED.has(item.kind)
      if (item.alone === true) break
    }
    return decided
  }

  #take(batch: Batch<S, C, E>, item: Item<C>): Fate {
    switch (item.kind) {
      case 'command':
        return this.#command(batch, item)
      case 'input':
        return this.#input(batch, item)
      case 'page':
        return this.#page(batch, item)
      case 'timer':
        return this.#timer(batch, item)
      case 'outcome':
        return this.#outcome(batch, item)
      case 'fact':
        batch.draft.fact(item.fact)
        this.#release(batch, item.onCommitted)
        return 'taken'
      case 'marks':
        return 'taken'
      case 'confirm':
      case 'yield':
        batch.draft.wanted = item.kind === 'yield' ? 'yield' : 'tick'
        this.#confirm(batch, item)
        return 'taken'
    }
  }

  /** Those who wait for any commit have it with this one. */
  #takePatient(batch: Batch<S, C, E>, mailbox: Mailbox<C>): void {
    for (const item of mailbox.takePatient()) {
      batch.draft.taken.push(item)
      if (item.kind === 'confirm') this.#confirm(batch, item)
    }
  }

  #confirm(batch: Batch<S, C, E>, { onConfirmed }: ConfirmItem): void {
    this.#release(batch, onConfirmed)
  }

  #release(
    { draft, state }: Batch<S, C, E>,
    told: ((token: PositionToken) => void) | undefined,
  ): void {
    if (told === undefined) return
    draft.releases.push((at) => told(state.tokenAt(at.position, at.publicSeq)))
  }

  #command(batch: Batch<S, C, E>, item: CommandItem<C>): Fate {
    if (item.cancelled) return 'gone'
    const { requestId, bodyHash, command } = item
    if (requestId !== '') {
      const refusal = this.#repeated(batch, item)
      if (refusal === 'gone') return 'gone'
      if (refusal !== undefined) return this.#answer(batch, item, refusalText(refusal))
    }
    const verdict = this.#decisions.run(batch, item, { command, facts: [] })
    if (verdict.kind === 'later') return 'later'
    const request = requestId === '' ? undefined : { requestId, bodyHash }
    if (verdict.kind === 'decided') {
      const { decision } = verdict
      this.#observer?.decided(decision.accepted ? undefined : decision.refusal.reason)
      return this.#answer(batch, item, outcomeText(decision), request)
    }
    const { refusal } = verdict
    this.#observer?.decided(refusal.reason)
    if (refusal.reason === 'INTERNAL') {
      const parked = parkedFact({ source: 'command', name: command.type, key: '' })
      this.#park(batch, { ...parked, content: cut(command) }, refusal)
    }
    return this.#answer(batch, item, refusalText(refusal), request)
  }

  /** What a request id that was seen before, or cannot be taken, comes to. */
  #repeated({ draft, state }: Batch<S, C, E>, item: CommandItem<C>): Refusal | 'gone' | undefined {
    const reason = refuseRequestId(item.requestId, draft.atMs)
    if (reason !== undefined) return { reason }
    const kept = state.framework.answers.get(item.requestId)
    const sibling = draft.requests.get(item.requestId)
    const known = kept ?? sibling
    if (known === undefined) {
      draft.requests.set(item.requestId, item)
      return undefined
    }
    if (Buffer.compare(known.bodyHash, item.bodyHash) !== 0) return { reason: 'REQUEST_ID_REUSED' }
    if (kept !== undefined) {
      const token = state.tokenAt(kept.position, kept.publicSeq)
      for (const waiter of item.waiters) waiter.resolve(answerOf(kept.outcome, token))
    } else {
      sibling?.waiters.push(...item.waiters)
    }
    return 'gone'
  }

  /** The answer is committed with the rest and released when it is read back. */
  #answer(
    { draft, state }: Batch<S, C, E>,
    item: CommandItem<C>,
    outcome: string,
    request?: { requestId: string; bodyHash: Uint8Array },
  ): Fate {
    item.decided = true
    draft.answer(outcome, request)
    draft.releases.push((at) => {
      const token = state.tokenAt(at.position, at.publicSeq)
      for (const waiter of item.waiters) waiter.resolve(answerOf(outcome, token))
    })
    return 'taken'
  }

  #input(batch: Batch<S, C, E>, item: InputItem<C>): Fate {
    const { command } = item
    if (command !== undefined) {
      const verdict = this.#decisions.run(batch, item, { command, facts: [] })
      if (verdict.kind === 'later') return 'later'
      if (verdict.kind === 'failed') this.#park(batch, item.parked, verdict.refusal)
    } else if (item.undecodable) {
      batch.draft.fact(item.parked)
    }
    batch.draft.mark(item.mark)
    batch.draft.releases.push(item.onCommitted)
    return 'taken'
  }

  #page(batch: Batch<S, C, E>, item: PageItem<C>): Fate {
    const { command, facts } = item
    const { draft } = batch
    if (command === undefined) {
      for (const fact of facts) draft.fact(fact)
    } else {
      const verdict = this.#decisions.run(batch, item, { command, facts })
      if (verdict.kind === 'later') return 'later'
      if (verdict.kind === 'failed') {
        for (const fact of facts) draft.fact(fact)
        this.#park(batch, item.parked, verdict.refusal)
      }
    }
    if (item.mark !== undefined) draft.mark(item.mark)
    draft.releases.push(item.onCommitted)
    return 'taken'
  }

  #timer(batch: Batch<S, C, E>, item: TimerItem): Fate {
    const { key } = item
    if (batch.draft.timerDueMs(key) !== item.dueMs) return 'gone'
    const cleared: RuntimeFact = { type: 'TimerCleared', key }
    const command = this.#timerCommand(key)
    const verdict =
      command === undefined
        ? failed(`no command for timer '${key}'`)
        : this.#decisions.run(batch, item, { command, facts: [cleared] })
    if (verdict.kind === 'later') return 'later'
    if (verdict.kind === 'failed') {
      batch.draft.fact(cleared)
      const name = command?.type ?? ''
      this.#park(batch, parkedFact({ source: 'timer', name, key }), verdict.refusal)
    }
    return 'taken'
  }

  #timerCommand(key: string): C | undefined {
    try {
      return this.#definition.onTimer?.(key)
    } catch (error) {
      const fields = { timer: key, error: errorText(error) }
      this.#logger.log('error', 'a timer has no command', fields)
      return undefined
    }
  }

  #outcome(batch: Batch<S, C, E>, item: OutcomeItem<C>): Fate {
    const { key, command, effectId } = item
    const { draft, state } = batch
    if (state.framework.effects.get(key)?.id !== effectId || !draft.hasEffect(key)) return 'gone'
    const settled: RuntimeFact = { type: 'EffectSettled', key }
    const verdict = this.#decisions.run(batch, item, { command, facts: [settled] })
    if (verdict.kind === 'later') return 'later'
    if (verdict.kind === 'failed') {
      draft.fact(settled)
      const parked = parkedFact({ source: 'effect', name: command.type, key })
      this.#park(batch, { ...parked, content: cut(command) }, verdict.refusal)
    } else if (!verdict.decision.accepted) {
      const { refusal } = verdict.decision
      this.#logger.log('warn', 'the outcome of an effect was refused', { effect: key, refusal })
    }
    return 'taken'
  }

  #park({ draft }: Batch<S, C, E>, fact: ParkedFact, refusal: Refusal): void {
    const error = String(refusal.details?.['error'] ?? refusal.reason)
    const { source, name, key } = fact
    this.#logger.log('error', 'an input was parked', { source, name, key, error })
    draft.fact({ ...fact, error })
  }
}

/** Items that the core decides on; after a batch with any of them comes the core's own round. */
const DECIDED: ReadonlySet<Item<Message>['kind']> = new Set([
  'command',
  'input',
  'page',
  'timer',
  'outcome',
])

const cut = (command: Message): string => JSON.stringify(command).slice(0, 4096)

const refusalText = (refusal: Refusal): string => JSON.stringify({ ok: false, refusal })

const outcomeText = (decision: Decision<Message>): string =>
  decision.accepted ? acceptedOutcome(decision.answer) : refusalText(decision.refusal)
