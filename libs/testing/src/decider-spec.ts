import { deepStrictEqual, fail, partialDeepStrictEqual, strictEqual } from 'node:assert/strict'
import type { Accepted, Decider, Decision, Message, Refusal } from '@serverless-ai/kernel'

/**
 * Sentences about a core:
 * `spec(lease).given(held('n1')).when(renew('n2')).thenRefused('NOT_OWNER')`. Each `when` is one
 * batch: the commands one after another, then the core's own round, all at one time.
 */
export function spec<S, C extends Message, E extends Message>(
  decider: Decider<S, C, E>,
  options: { atMs?: number } = {},
): DeciderSpec<S, C, E> {
  return new DeciderSpec(decider, options.atMs ?? 1_000_000)
}

/** See {@link spec}. */
export class DeciderSpec<S, C extends Message, E extends Message> {
  readonly #decider: Decider<S, C, E>
  #state: S
  #atMs: number
  #decisions = 0

  constructor(decider: Decider<S, C, E>, atMs: number) {
    this.#decider = decider
    this.#state = decider.initial()
    this.#atMs = atMs
  }

  get state(): S {
    return this.#state
  }

  /** Log time of what follows, ms. */
  at(atMs: number): this {
    this.#atMs = atMs
    return this
  }

  /** What has happened so far. */
  given(...events: readonly E[]): this {
    for (const event of events) this.#evolve(event)
    return this
  }

  /** What was done so far: as `when`, each command a batch of its own, none refused. */
  after(...commands: readonly C[]): this {
    for (const command of commands) {
      const { refusals } = this.when(command)
      if (refusals[0] !== undefined) fail(`${command.type} was refused: ${refusals[0].reason}`)
    }
    return this
  }

  /** One batch. */
  when(...commands: readonly C[]): Outcome<E> {
    const accepted: Accepted<E>[] = []
    const refusals: Refusal[] = []
    const take = (decision: Decision<E>) => {
      if (!decision.accepted) {
        refusals.push(decision.refusal)
        return
      }
      for (const event of decision.events) this.#evolve(event)
      accepted.push(decision)
    }
    for (const command of commands) {
      take(this.#decider.decide(command, this.#state, this.#context()))
    }
    const round = this.#decider.afterBatch?.(this.#state, this.#context())
    if (round !== undefined) take(round)
    return new Outcome(accepted, refusals)
  }

  #context() {
    const nonce = String(++this.#decisions).padStart(32, '0')
    return { atMs: this.#atMs, nonce }
  }

  /** As from a log: the event goes through JSON. */
  #evolve(event: E): void {
    deepStrictEqual(JSON.parse(JSON.stringify(event)), event, `${event.type} is not plain JSON`)
    this.#state = this.#decider.evolve(this.#state, event, this.#atMs)
  }
}

/** What a batch came to. */
export class Outcome<E extends Message> {
  readonly accepted: readonly Accepted<E>[]
  readonly refusals: readonly Refusal[]

  constructor(accepted: readonly Accepted<E>[], refusals: readonly Refusal[]) {
    this.accepted = accepted
    this.refusals = refusals
  }

  get events(): readonly E[] {
    return this.accepted.flatMap((one) => one.events)
  }

  /** Exactly these events in this order; fields that are left out are not compared. */
  thenEvents(...events: readonly Partial<E>[]): this {
    const types = (all: readonly Partial<E>[]) => all.map((event) => event.type)
    deepStrictEqual(types(this.events), types(events))
    for (const [i, event] of events.entries()) partialDeepStrictEqual(this.events[i], event)
    return this
  }

  thenNothing(): this {
    deepStrictEqual(this.refusals, [])
    return this.thenEvents()
  }

  /** Refused with this reason; details that are left out are not compared. */
  thenRefused(reason: string, details: Refusal['details'] = {}): this {
    strictEqual(this.refusals[0]?.reason, reason)
    partialDeepStrictEqual(this.refusals[0]?.details ?? {}, details)
    return this
  }

  /** The only event of a type. */
  the<T extends E['type']>(type: T): Extract<E, { type: T }> {
    const found = this.events.filter((event) => event.type === type)
    strictEqual(found.length, 1, `${found.length} events ${type}`)
    return found[0] as Extract<E, { type: T }>
  }
}
