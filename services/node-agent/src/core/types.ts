import type { ExecutionKey } from './keys.ts'
import type { Readiness, ReadinessProbe } from './probe.ts'

/** What ended an execution: the causes of `serverlessai.pool.v1.TaskExit` that a node can give. */
export type ExitCause =
  | 'EXITED'
  | 'STOPPED'
  | 'LEASE_LAPSED'
  | 'NODE_SHUTDOWN'
  | 'SUPERVISOR_LOST'
  | 'PORT_IN_USE'
  | 'START_FAILED'
  | 'PREPARE_FAILED'
  | 'OUT_OF_MEMORY'

/** Why and how an execution ended. */
export interface TaskExit {
  readonly cause: ExitCause
  /** 0 to 255 when the process ended by itself; -1 otherwise. */
  readonly exitCode: number
  /** Signal name when a signal ended it, else empty. */
  readonly signal: string
  /** One line for people: what, where, how to mend. */
  readonly message: string
  /** Wall clock of the node, ms since 1970. */
  readonly atMs: number
}

/** A task that shall run here, as the supervisor takes it: node variables are already in `env`. */
export interface Assignment {
  readonly key: ExecutionKey
  /** Decides the uid. */
  readonly tenant: string
  /** Program and arguments; at least one element. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Thousandths of a core; 0 = no limit. */
  readonly cpuMillis: number
  /** What its emulated devices are bound to, thousandths of a core; absent = they are not. */
  readonly deviceCpuMillis?: number
  /** MiB; 0 = no limit. */
  readonly memoryMib: number
  /** Ports that must be free at the start. */
  readonly ports: readonly number[]
  /** `sha256:…` of the workspace archive, empty = none. */
  readonly workspace: string
  /** Killed at the lease deadline. */
  readonly exclusive: boolean
  /** Time between SIGTERM and SIGKILL, ms. */
  readonly stopGraceMs: number
  /** Size at which a log file is rotated, bytes. */
  readonly logMaxBytes: number
  /** Absent = it takes no requests. */
  readonly readiness?: ReadinessProbe
  /** Absent = there is nothing to know. */
  readonly notice?: Notice
}

/** What a task is told while it runs, in the file named in `SAI_NOTICE`. */
export interface Notice {
  readonly id: string
  readonly kind: string
  /** Clock of the control plane, ms since 1970. */
  readonly deadlineMs: number
}

/** State of an execution as it is reported. */
export type ReportedState = 'PREPARING' | 'RUNNING' | 'STOPPING' | 'EXITED'

/** What is reported of one execution. */
export interface ExecutionStatus {
  readonly key: ExecutionKey
  readonly state: ReportedState
  /** 0 before the start. */
  readonly pid: number
  /** Wall clock of the start, ms since 1970; 0 before the start. */
  readonly startedMs: number
  readonly exit: TaskExit | null
  /** What its probe found last. */
  readonly readiness?: Readiness
}

/** An exit of something that never ran, or that the platform ended. */
export function exitOf(cause: ExitCause, message: string, atMs: number): TaskExit {
  return { cause, exitCode: -1, signal: '', message, atMs }
}
