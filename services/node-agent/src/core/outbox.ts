import type { DesiredVersion, ExecutionKey } from './keys.ts'
import type { ExecutionStatus } from './types.ts'

/** A line of a task's report file on its way to the pool manager. */
export interface TaskReport {
  readonly key: ExecutionKey
  /** Number in the file, from 1. */
  readonly line: number
  readonly json: string
}

/** A report: sent again, the same, until it is acknowledged. */
export interface Report {
  /** From 1 inside a supervisor session. */
  readonly number: number
  readonly executions: readonly ExecutionStatus[]
  readonly taskReports: readonly TaskReport[]
  readonly applied: DesiredVersion
}

/** One report is in flight at a time; what happens meanwhile goes into the next one. */
export interface Outbox {
  lastNumber: number
  inFlight: Report | undefined
  /** Statuses or lines changed since the report in flight was made. */
  dirty: boolean
}

/** An outbox that reports everything once at the start of the session. */
export function newOutbox(): Outbox {
  return { lastNumber: 0, inFlight: undefined, dirty: true }
}

/** The next report when there is something to say and nothing in flight. */
export function nextReport(
  outbox: Outbox,
  content: () => Omit<Report, 'number'>,
): Report | undefined {
  if (outbox.inFlight !== undefined || !outbox.dirty) return undefined
  outbox.lastNumber += 1
  // Before the content is made: what does not fit in makes the outbox dirty again.
  outbox.dirty = false
  outbox.inFlight = { number: outbox.lastNumber, ...content() }
  return outbox.inFlight
}

/** Takes an acknowledgement; false when it is not that of the report in flight. */
export function acknowledge(outbox: Outbox, number: number): boolean {
  if (outbox.inFlight?.number !== number) return false
  outbox.inFlight = undefined
  return true
}
