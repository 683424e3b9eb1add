/**
 * The shape of every core: `decide(command, state) → decision`, `evolve(state, event) → state`.
 * Both are pure but for one licence: `evolve` may change the state it is given in place (indexes,
 * typed arrays) as long as folding the same events always gives the same state.
 */

/** What JSON can carry. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

/** A command or an event: a named plain JSON object. */
export interface Message {
  readonly type: string
}

/** What `decide` may know besides state and command. */
export interface DecideContext {
  /** Log time of the commit this decision goes into, ms since 1970, never decreasing. */
  readonly atMs: number
  /** 32 hex digits, unique per decision: the source of new ids. */
  readonly nonce: string
  /**
   * Feature level of the log: events and rules of higher ones must not be used yet, because not
   * every version that may lead knows them. Absent = the first level, 1.
   */
  readonly featureLevel?: number
}

/** Why a command was not carried out. */
export interface Refusal {
  /** UPPER_SNAKE_CASE, a key of the service's error table. */
  readonly reason: string
  /** Numbers and names; the sentence is built from them at the edge. */
  readonly details?: Readonly<Record<string, Json>>
}

/**
 * A call to somebody else that leaves after the commit is effective and stays in the state until it
 * is settled.
 */
export interface EffectRequest {
  /** Domain key, unique among unsettled effects, for example `recover:j-0-x:0:3`. */
  readonly key: string
  readonly kind: string
  readonly payload: Json
}

/**
 * A timer of the state: `TimerDue` comes at or after `dueMs` of log time. Setting a key again
 * replaces it.
 */
export interface TimerRequest {
  readonly key: string
  readonly dueMs: number
}

/** A command was carried out. Everything in here goes into one atomic commit. */
export interface Accepted<E extends Message> {
  readonly accepted: true
  readonly events: readonly E[]
  /** Value for the caller. */
  readonly answer?: Json
  readonly effects?: readonly EffectRequest[]
  /** Keys of effects that need no further call. */
  readonly settles?: readonly string[]
  readonly timers?: readonly TimerRequest[]
  readonly cancelTimers?: readonly string[]
}

/** A command was refused: nothing changes, the answer is still committed. */
export interface Refused {
  readonly accepted: false
  readonly refusal: Refusal
}

export type Decision<E extends Message> = Accepted<E> | Refused

/** A core. */
export interface Decider<S, C extends Message, E extends Message> {
  initial(): S
  /** Never changes `state`. Throws only for a broken invariant. */
  decide(command: C, state: S, context: DecideContext): Decision<E>
  /** Total and strict: throws (`invariant`) for an event that cannot follow the state. */
  evolve(state: S, event: E, atMs: number): S
  /**
   * Called once at the end of each batch of commands with the state after them; what it accepts
   * joins the same commit. For work that is better done once per batch, like a scheduling round.
   * Returns undefined when there is nothing to do.
   */
  afterBatch?(state: S, context: DecideContext): Accepted<E> | undefined
  /**
   * State as plain JSON for snapshots and digests: the same state always gives the same JSON. It
   * may share with the state what the state replaces and never changes.
   */
  toJson(state: S): Json
  fromJson(json: Json): S
}

/** Accepts with events and, optionally, more. */
export function accept<E extends Message>(
  events: readonly E[],
  more: Omit<Accepted<E>, 'accepted' | 'events'> = {},
): Accepted<E> {
  return { accepted: true, events, ...more }
}

/** Refuses with a reason and its numbers. */
export function refuse(reason: string, details?: Readonly<Record<string, Json>>): Refused {
  return { accepted: false, refusal: details === undefined ? { reason } : { reason, details } }
}
