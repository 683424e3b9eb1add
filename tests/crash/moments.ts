/** Named moments at which the control plane kills itself with SIGKILL. */
export const MOMENTS = [
  /** A commit with answers is in the log; this process never reads it. */
  'append-sent-unread',
  /** It was read back as effective; no caller has its answer. */
  'effective-unanswered',
  /** A commit with an effect is effective; the effect never leaves. */
  'answered-effect-unsent',
  /** A claim is in the log; this process never reads it. */
  'claim-sent-unread',
  /** A timer of the state fired; its commit is never sent. */
  'timer-due',
  /** An input was decided; the commit with its mark is never sent. */
  'input-mark-uncommitted',
  /** Half of a snapshot's chunk is written. */
  'mid-snapshot',
  /** All chunks of a snapshot are written; its manifest is not. */
  'manifest-unwritten',
  /** The first half of the events of a publish request is in the topic. */
  'mid-publish',
  /** Events are published; nothing records that. */
  'published-unrecorded',
  /** The first page of a bootstrap is committed; the second one is never sent. */
  'mid-bootstrap-page',
] as const
export type Moment = (typeof MOMENTS)[number]

/** Environment variable of the order: `<moment>:<occurrence, from 1>`. */
export const ORDER_VARIABLE = 'SAI_CRASH_AT'
/**
 * Environment variable: name of a service whose public events reach no consumer, as if all of them
 * were slow.
 */
export const STALL_VARIABLE = 'SAI_CRASH_STALL'

/** When to die. */
export interface CrashOrder {
  readonly moment: Moment
  /** Which time it comes about, from 1. */
  readonly nth: number
}

export const orderText = ({ moment, nth }: CrashOrder): string => `${moment}:${nth}`

/** What a process writes to standard error before it dies as ordered. */
export const lastWords = (order: CrashOrder): string => `crashing at ${orderText(order)}`

/** Reads an order; undefined when there is none. Throws on a moment that does not exist. */
export function parseOrder(text: string | undefined): CrashOrder | undefined {
  if (text === undefined || text === '') return undefined
  const [name, count = '1'] = text.split(':')
  const moment = MOMENTS.find((one) => one === name)
  const nth = Number(count)
  if (moment === undefined || !Number.isInteger(nth) || nth < 1) {
    throw new Error(`no such moment: ${text}; there are ${MOMENTS.join(', ')}`)
  }
  return { moment, nth }
}
