import type { ExecutionKey } from '../../core/keys.ts'
import type { Assignment, TaskExit } from '../../core/types.ts'
import type { TaskDirectories } from './task-paths.ts'

/** A process that is to be started for a task. */
export interface ProcessSpec {
  readonly key: ExecutionKey
  readonly assignment: Assignment
  readonly directories: TaskDirectories
  /** The whole environment. */
  readonly variables: Readonly<Record<string, string>>
  /** Value of `SAI_EXECUTION`: what belongs to the execution carries it. */
  readonly marker: string
}

/** Why a process cannot be started; it never ran. */
export type StartProblem = Pick<TaskExit, 'cause' | 'message'>

/** How a process ended, when it and all it started are gone and its log is complete. */
export interface ProcessEnd {
  /** Null when a signal ended it. */
  readonly code: number | null
  /** Name of the signal, empty when it ended by itself. */
  readonly signal: string
  /** Wall clock of the end, ms. */
  readonly atMs: number
  readonly outOfMemory: boolean
  /** Why its log is incomplete; empty = it is complete. */
  readonly logProblem: string
}

/** A process that runs. */
export interface LaunchedProcess {
  readonly pid: number
  /** Tells it from a later process with the same id. */
  readonly startTime: string
  /** SIGTERM to its group. */
  terminate(): void
  /** SIGKILL to everything of it. */
  kill(): void
  readonly ended: Promise<ProcessEnd>
}

/** What a process needs is there: its log, its limits. */
export interface PreparedProcess {
  /** Starts it synchronously; resolves when it runs. Rejects when it could not be started. */
  launch(): Promise<LaunchedProcess>
  /** It is not launched, or that failed: lets go of everything. */
  discard(): void
}

/** Processes of the operating system under a node. */
export interface TaskProcesses {
  /** Looks whether a process could be started now. */
  check(spec: ProcessSpec): Promise<StartProblem | undefined>
  /** Throws when something that it needs cannot be had. */
  prepare(spec: ProcessSpec): PreparedProcess
}
