import { type DesiredVersion, type ExecutionKey, NO_VERSION } from './keys.ts'
import type { ExecutionStatus, TaskExit } from './types.ts'

/** What is recorded of a start. */
export interface StartRecord {
  /** 0 until the process is there. */
  readonly pid: number
  readonly startTime: string
  /** Wall clock, ms since 1970. */
  readonly startedMs: number
  /** Directory of the task. */
  readonly taskDir: string
  /** Undefined = the supervisor's own user. */
  readonly uid?: number
}

/** An execution that an older session left. */
export interface LeftExecution {
  readonly key: ExecutionKey
  readonly start: StartRecord
  readonly status: ExecutionStatus
}

/** True for a JSON object. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A start record as it was written; undefined when it is none. */
export function parseStart(value: unknown): StartRecord | undefined {
  if (!isRecord(value)) return undefined
  const { pid, startTime, startedMs, taskDir, uid } = value
  if (typeof pid !== 'number' || typeof startTime !== 'string') return undefined
  if (typeof startedMs !== 'number' || typeof taskDir !== 'string') return undefined
  return { pid, startTime, startedMs, taskDir, ...(typeof uid === 'number' ? { uid } : {}) }
}

const CAUSES: readonly TaskExit['cause'][] = [
  'EXITED',
  'STOPPED',
  'LEASE_LAPSED',
  'NODE_SHUTDOWN',
  'SUPERVISOR_LOST',
  'PORT_IN_USE',
  'START_FAILED',
  'PREPARE_FAILED',
  'OUT_OF_MEMORY',
]

/** An exit record as it was written; undefined when it is none. */
export function parseExit(value: unknown): TaskExit | undefined {
  if (!isRecord(value)) return undefined
  const { exitCode, signal, message, atMs } = value
  const cause = CAUSES.find((known) => known === value.cause)
  if (cause === undefined || typeof exitCode !== 'number' || typeof signal !== 'string') {
    return undefined
  }
  if (typeof message !== 'string' || typeof atMs !== 'number') return undefined
  return { cause, exitCode, signal, message, atMs }
}

/** A journal as it was written; `NO_VERSION` when it is none. */
export function parseJournal(value: unknown): DesiredVersion {
  if (!isRecord(value)) return NO_VERSION
  const { epoch, position } = value
  return typeof epoch === 'string' && typeof position === 'string'
    ? { epoch, position }
    : NO_VERSION
}
