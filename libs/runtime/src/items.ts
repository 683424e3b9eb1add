/** What waits in the mailbox of a leading partition. */
import type { Message, Refusal, TraceContext } from '@serverless-ai/kernel'
import type { Mark, ParkedFact, RuntimeFact } from './facts.ts'
import type { Answer, PositionToken } from './types.ts'

interface ItemBase {
  /** Set after the item's events could not be evolved: what it comes to instead. */
  poison?: Refusal
  /** Set after its commit came out too large: nothing else may share the next one. */
  alone?: boolean
  /** What it leads to belongs to this; undefined = to no trace. */
  readonly trace?: TraceContext | undefined
  /**
   * This leader will not commit the item, or will not learn whether it did: `error` says which
   * (NOT_LEADING, STOPPING; OUTCOME_UNKNOWN).
   */
  readonly onLost: (error: Error) => void
}

/** A caller that waits for an answer. */
export interface Waiter {
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** An RPC command. */
export interface CommandItem<C> extends ItemBase {
  readonly kind: 'command'
  readonly command: C
  /** UUIDv7; empty = the command is idempotent by its domain key. */
  readonly requestId: string
  readonly bodyHash: Uint8Array
  readonly waiters: Waiter[]
  /** Given up by its caller before it was decided. */
  cancelled: boolean
  /** It is part of a batch: too late to give it up. */
  decided: boolean
}

/** A public event of another service, as a command of this core. */
export interface InputItem<C> extends ItemBase {
  readonly kind: 'input'
  /** Undefined: only the mark moves, or `parked` says why. */
  readonly command: C | undefined
  readonly mark: Mark
  /** Set when it could not be decoded; the template of what is parked when it cannot be decided. */
  readonly parked: ParkedFact
  readonly undecodable: boolean
  readonly onCommitted: () => void
}

/** A page of a bootstrap; the last one carries the command and the mark. */
export interface PageItem<C> extends ItemBase {
  readonly kind: 'page'
  readonly facts: readonly RuntimeFact[]
  readonly command: C | undefined
  readonly mark: Mark | undefined
  readonly parked: ParkedFact
  readonly onCommitted: () => void
}

/** A timer of the state that is due. */
export interface TimerItem extends ItemBase {
  readonly kind: 'timer'
  readonly key: string
  readonly dueMs: number
}

/** The outcome of an effect. */
export interface OutcomeItem<C> extends ItemBase {
  readonly kind: 'outcome'
  readonly effectId: number
  readonly key: string
  readonly command: C
}

/** A fact of the runtime itself. */
export interface FactItem extends ItemBase {
  readonly kind: 'fact'
  readonly fact: RuntimeFact
  readonly onCommitted?: (token: PositionToken) => void
}

/** Marks of inputs that need no decision, wanted now. */
export interface MarksItem extends ItemBase {
  readonly kind: 'marks'
}

/** Proof of leadership, or the end of it. */
export interface ConfirmItem extends ItemBase {
  readonly kind: 'confirm' | 'yield'
  /** It waits so long for a commit that is made anyway, ms. Absent = not at all. */
  readonly withinMs?: number
  readonly onConfirmed: (token: PositionToken) => void
}

export type Item<C extends Message> =
  | CommandItem<C>
  | InputItem<C>
  | PageItem<C>
  | TimerItem
  | OutcomeItem<C>
  | FactItem
  | MarksItem
  | ConfirmItem
