import type { Json, Message, TraceContext } from '@serverless-ai/kernel'
import type { AnswerFact, CommitFacts, EventFact, Mark, PublicFact, RuntimeFact } from './facts.ts'
import type { Framework } from './framework.ts'
import { sourceKey } from './framework.ts'
import type { CommandItem, Item } from './items.ts'
import type { TracedFacts } from './traces.ts'
import type { PublicDraft } from './types.ts'

/** Envelope bytes of an entry besides its texts, an upper bound. */
const ENTRY_BYTES = 64
const NO_HASH = new Uint8Array(0)

const textBytes = (text: string): number => Buffer.byteLength(text)

/** Bytes that a runtime fact takes in a commit, an upper bound. */
export const factBytes = (fact: RuntimeFact): number =>
  textBytes(JSON.stringify(fact)) + ENTRY_BYTES

/** Bytes that an event takes in a commit, an upper bound. */
export const eventBytes = (event: EventFact): number =>
  textBytes(event.data) + event.type.length + ENTRY_BYTES

/**
 * What happens when the commit is effective: its position and the public seq after it are known
 * then.
 */
export type Release = (at: { position: number; publicSeq: number }) => void

/**
 * A commit while it is being put together. Knows what the earlier decisions of the same batch
 * changed in the framework state.
 */
export class Draft<C extends Message, E extends Message> {
  readonly framework: Framework
  readonly atMs: number
  readonly taken: Item<C>[] = []
  readonly releases: Release[] = []
  readonly requests = new Map<string, CommandItem<C>>()
  readonly domain: E[] = []
  /** Context of the item that is being taken. */
  trace: TraceContext | undefined
  /** What items with a context have put in. */
  readonly traced: TracedFacts = { publics: new Map(), effects: new Map() }
  readonly #answers: AnswerFact[] = []
  readonly #events: EventFact[] = []
  readonly #publics: PublicFact[] = []
  readonly #runtime: RuntimeFact[] = []
  readonly #marks = new Map<string, Mark>()
  readonly #effects = new Map<string, boolean>()
  readonly #timers = new Set<string>()
  /** Upper bound of the record's size. */
  bytes = 512
  /** A confirmation or a yield is in it: it is committed even when it is empty. */
  wanted: 'normal' | 'tick' | 'yield' = 'normal'

  constructor(framework: Framework, atMs: number) {
    this.framework = framework
    this.atMs = atMs
  }

  get empty(): boolean {
    return (
      this.#answers.length === 0 &&
      this.#events.length === 0 &&
      this.#runtime.length === 0 &&
      this.#marks.size === 0
    )
  }

  get eventCount(): number {
    return this.#events.length
  }

  /** True while an effect of this key is not settled, with this batch taken into account. */
  hasEffect(key: string): boolean {
    return this.#effects.get(key) ?? this.framework.effects.has(key)
  }

  /** Due time of a timer; undefined when it is not set or this batch touched it. */
  timerDueMs(key: string): number | undefined {
    return this.#timers.has(key) ? undefined : this.framework.timers.get(key)
  }

  answer(outcome: string, request?: { requestId: string; bodyHash: Uint8Array }): void {
    this.#answers.push({ requestId: '', bodyHash: NO_HASH, ...request, outcome })
    this.bytes += textBytes(outcome) + 96 + ENTRY_BYTES
  }

  event(fact: EventFact, event: E): void {
    this.#events.push(fact)
    this.domain.push(event)
    this.bytes += eventBytes(fact)
  }

  public(draft: PublicDraft): void {
    const { type, key, tenant, payload } = draft
    const seq = this.framework.publicSeq + this.#publics.length + 1
    this.#publics.push({ seq, type, key, tenant, payload })
    if (this.trace !== undefined) this.traced.publics.set(seq, this.trace)
    this.bytes += payload.byteLength + type.length + key.length + tenant.length + ENTRY_BYTES
  }

  fact(fact: RuntimeFact): void {
    this.#runtime.push(fact)
    this.bytes += factBytes(fact)
    if (fact.type === 'EffectAdded') this.#effectAdded(fact.key)
    else if (fact.type === 'EffectSettled') this.#effects.set(fact.key, false)
    else if (fact.type === 'TimerSet' || fact.type === 'TimerCleared') this.#timers.add(fact.key)
  }

  #effectAdded(key: string): void {
    this.#effects.set(key, true)
    if (this.trace !== undefined) this.traced.effects.set(key, this.trace)
  }

  mark(mark: Mark): void {
    const key = sourceKey(mark.source, mark.partition)
    if (!this.#marks.has(key)) this.bytes += mark.source.length + ENTRY_BYTES
    this.#marks.set(key, mark)
  }

  /** The commit's content. */
  finish(head: { commitId: Uint8Array; epoch: number; sequence: number }): CommitFacts {
    return {
      ...head,
      kind: this.wanted === 'tick' && !this.empty ? 'normal' : this.wanted,
      atMs: this.atMs,
      inputs: [...this.#marks.values()],
      answers: this.#answers,
      events: this.#events,
      publics: this.#publics,
      runtime: this.#runtime,
    }
  }
}

/** JSON of an accepted outcome. */
export const acceptedOutcome = (value: Json | undefined): string =>
  JSON.stringify({ ok: true, value: value ?? null })
