/** Named moments at which the control plane kills itself with SIGKILL. */
export const CONTROL_PLANE_MOMENTS = [
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

/** Named moments at which the supervisor of a node kills itself; its tasks die with it. */
export const SUPERVISOR_MOMENTS = [
  /** A desired set came; its version is not in the journal. */
  'desired-unjournalled',
  /** Its version is in the journal; nothing of it is applied. */
  'desired-unapplied',
  /** A task is ready to start; no record says so. */
  'start-unrecorded',
  /** The record of the start is there; the process is not. */
  'started-unspawned',
  /** The process is there; the record does not know its id. */
  'spawned-unrecorded',
  /** A task has ended; no record says so. */
  'exit-unrecorded',
  /** The record of the end is there; no report tells it. */
  'exit-unreported',
  /** A report is made; the agent never gets it. */
  'report-unsent',
  /** The agent passed on an acknowledgement; nothing is done with it. */
  'ack-unread',
  /** An execution may be forgotten; its records are not moved yet. */
  'forget-unmoved',
] as const

/** Named moments at which the agent of a node kills itself; its tasks go on. */
export const AGENT_MOMENTS = [
  /** A desired set came from the pool manager; the supervisor never gets it. */
  'desired-unpassed',
  /** The supervisor made a report; the pool manager never gets it from this agent. */
  'report-unpassed',
  /** The report is on its way to the pool manager; its acknowledgement comes to nobody. */
  'report-unacknowledged',
  /** The pool manager acknowledged a report; the supervisor is not told. */
  'ack-unpassed',
] as const

export const NODE_MOMENTS = [...SUPERVISOR_MOMENTS, ...AGENT_MOMENTS] as const
export const MOMENTS = [...CONTROL_PLANE_MOMENTS, ...NODE_MOMENTS] as const
export type NodeMoment = (typeof NODE_MOMENTS)[number]
export type Moment = (typeof MOMENTS)[number]

/** When to die. */
export interface CrashOrder {
  readonly moment: Moment
  /** Which time it comes about after the order was given, from 1. */
  readonly nth: number
}

export const orderText = ({ moment, nth }: CrashOrder): string => `${moment}:${nth}`

/** Reads `<moment>:<nth>`. Throws on a moment that does not exist. */
export function parseOrder(text: string): CrashOrder {
  const [name, count = '1'] = text.split(':')
  const moment = MOMENTS.find((one) => one === name)
  const nth = Number(count)
  if (moment === undefined || !Number.isInteger(nth) || nth < 1) {
    throw new Error(`no such moment: ${text}; there are ${MOMENTS.join(', ')}`)
  }
  return { moment, nth }
}

/**
 * Environment variable of the control plane: name of a service whose public events reach no
 * consumer, as if all of them were slow.
 */
export const STALL_VARIABLE = 'SAI_CRASH_STALL'
/** The same for the processes of a platform on Kafka: a file of the data directory. */
export const STALL_FILE = 'crash-stall'

/** Snapshots come often where kills are to meet them. */
export const SNAPSHOT_EVERY_COMMITS = 8
