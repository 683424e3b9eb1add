/** Words of the pool manager's core. Everything here is plain JSON. */

/** An accelerator of a node. */
export interface Device {
  /** Index on the node, from 0. */
  readonly index: number
  readonly uuid: string
  /** Emulated ones carry the prefix `emulated/`. */
  readonly model: string
  readonly memoryMib: number
  readonly emulated: boolean
  readonly healthy: boolean
}

/** What a node has. */
export interface Inventory {
  readonly cpuMillis: number
  readonly memoryMib: number
  readonly devices: readonly Device[]
  readonly address: string
  /** First and last port that may be given to tasks; 0 and 0 = none. */
  readonly portFirst: number
  readonly portLast: number
  readonly labels: Readonly<Record<string, string>>
  readonly agentVersion: string
  readonly isolation: string
}

/** What ended a task; see the public contract for the meaning of each. */
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
  | 'NODE_LOST'

/** How a task ended. */
export interface TaskExit {
  readonly cause: ExitCause
  /** 0 to 255 when the process ended by itself; -1 otherwise. */
  readonly exitCode: number
  /** `SIGKILL` …; empty = no signal. */
  readonly signal: string
  readonly message: string
  /** Wall clock of the node, ms since 1970; log time of the last sign of life for NODE_LOST. */
  readonly atMs: number
}

/** A gang of a job. */
export interface GangId {
  readonly jobId: string
  /** From 0. */
  readonly gang: number
}

/** A task's run: fenced by its generation. */
export interface ExecutionKey extends GangId {
  /** From 1. */
  readonly generation: number
  /** From 0. */
  readonly rank: number
}

/** Devices granted to a gang's generation. Columns: index i is rank i. */
export interface Grant extends GangId {
  readonly generation: number
  readonly tenant: string
  readonly nodes: readonly string[]
  /** Per rank: index into `nodes`. */
  readonly nodeOfRank: readonly number[]
  /** All ranks one after another, `devicesPerTask` each. */
  readonly deviceIndexes: readonly number[]
  readonly rank0Ports: readonly number[]
  readonly devicesPerTask: number
  readonly cpuMillis: number
  readonly memoryMib: number
  readonly exclusive: boolean
}

/** How rank 0 is asked whether it can take requests, at the first of its ports. */
export interface ReadinessProbe {
  /** Path of a GET; empty = a TCP connection. */
  readonly httpGet: string
  readonly periodMs: number
  readonly timeoutMs: number
  readonly failureThreshold: number
  readonly successThreshold: number
}

/** What a probe found. */
export interface Readiness {
  readonly ready: boolean
  /** Why it is not ready; empty when it is. */
  readonly cause: string
  /** Wall clock of the node at the change, ms since 1970. */
  readonly atMs: number
}

/** What a running generation shall know. */
export interface Notice {
  readonly id: string
  readonly kind: string
  /** Clock of the control plane, ms since 1970. */
  readonly deadlineMs: number
}

/** How a gang's generation is to be started. */
export interface Contract extends GangId {
  readonly generation: number
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Index = rank. */
  readonly rankEnv: readonly Readonly<Record<string, string>>[]
  readonly workspace: string
  readonly stopGraceMs: number
  readonly logMaxBytes: number
  /** Absent = it takes no requests. */
  readonly readiness?: ReadinessProbe
}

/** All generations of a gang up to this one are over. */
export interface Release extends GangId {
  readonly throughGeneration: number
  /** `RECOVER` or `RESIZE` = more generations may come; everything else ends the gang. */
  readonly cause: string
}

/** What a node's supervisor says of an execution. */
export interface ReportedExecution {
  readonly key: ExecutionKey
  readonly state: 'PREPARING' | 'RUNNING' | 'STOPPING' | 'EXITED'
  /** Wall clock of the node, ms since 1970; 0 = not started. */
  readonly startedMs: number
  /** Set when `state` is EXITED. */
  readonly exit: TaskExit | null
  /** Absent = it has no probe, or was not asked yet. */
  readonly readiness?: Readiness
}

/** A line of a task's report file. */
export interface ReportedLine {
  readonly key: ExecutionKey
  /** From 1. */
  readonly line: number
  readonly json: string
}

/** State of a node. */
export type NodeState =
  | { readonly at: 'Ready' }
  | { readonly at: 'Disconnected' }
  | { readonly at: 'Lost'; readonly silentMs: number }

/** A node. */
export interface PoolNode {
  readonly nodeId: string
  state: NodeState
  sinceMs: number
  inventory: Inventory
  supervisorSession: string
  clockSkewMs: number
  /** Longest lease the present supervisor may hold, ms; 0 = not recorded. */
  leaseMs: number
  /** Counts registrations: tells a decision made before a reconnect from one made after it. */
  registration: number
  /** Highest report number taken of the present supervisor session; 0 = none. */
  lastReport: number
  /** Counts changes of the desired set. */
  desiredRevision: number
}

/** Where an execution stands. `Exited` = over for the job, its devices are not free yet. */
export type Phase =
  | { readonly at: 'Assigned' }
  | { readonly at: 'Running'; readonly startedMs: number }
  | { readonly at: 'Stopping'; readonly startedMs: number }
  | { readonly at: 'Exited'; readonly startedMs: number; readonly exit: TaskExit }
  | { readonly at: 'Freed'; readonly startedMs: number; readonly exit: TaskExit | null }

/** A task's run on a node. */
export interface Execution extends ExecutionKey {
  readonly nodeId: string
  /** Supervisor session it may have been sent to; empty = certainly never sent. */
  session: string
  phase: Phase
  /** Desired revision of the node from which on it is no longer wanted; 0 = wanted. */
  removedRevision: number
  /** Number of the last report line taken. */
  lastLine: number
  /** Last readiness recorded; absent = none. */
  readiness?: Readiness
}

/** A gang's generation. */
export interface Membership {
  readonly grant: Grant
  /** Kept until the generation is released. */
  contract: Contract | null
  /** Index = rank; empty until the ranks are assigned. */
  executions: Execution[]
  /** True when the devices came back without any rank ever having been assigned. */
  freedUnassigned: boolean
  /** Absent = there is nothing to know. */
  notice?: Notice
}

/** A gang. */
export interface Gang extends GangId {
  tenant: string
  /** Newest generation granted, 0 = none. */
  grantedThrough: number
  /** Everything up to this generation is over. */
  releasedThrough: number
  /** No further generation will come. */
  finished: boolean
  /** Ranks granted whose devices are not free. */
  unfreedRanks: number
  /** By generation, ascending. */
  memberships: Map<number, Membership>
  /** Contracts that wait for their grant, by generation. */
  waiting: Map<number, Contract>
}

/** Feature level from which on readiness and notices are recorded. */
export const SERVING_LEVEL = 2

/** True when another generation follows a release. */
export const goesOn = (cause: string): boolean => cause === 'RECOVER' || cause === 'RESIZE'

/** Key of a gang in maps. */
export const gangKey = (id: GangId): string => `${id.jobId}/${id.gang}`

/** Key of an execution in maps. */
export const executionKey = (key: ExecutionKey): string =>
  `${key.jobId}/${key.gang}/${key.generation}/${key.rank}`

/** Identity without the rest. */
export const keyOf = (key: ExecutionKey): ExecutionKey => ({
  jobId: key.jobId,
  gang: key.gang,
  generation: key.generation,
  rank: key.rank,
})

/** Order of executions in decisions and lists. */
export function compareKeys(a: ExecutionKey, b: ExecutionKey): number {
  if (a.jobId !== b.jobId) return a.jobId < b.jobId ? -1 : 1
  return a.gang - b.gang || a.generation - b.generation || a.rank - b.rank
}

/** True when the task is over, whether or not its devices are free. */
export const hasEnded = (execution: Execution): boolean =>
  execution.phase.at === 'Exited' || execution.phase.at === 'Freed'

/** Device indexes of a rank. */
export function devicesOfRank(grant: Grant, rank: number): readonly number[] {
  const from = rank * grant.devicesPerTask
  return grant.deviceIndexes.slice(from, from + grant.devicesPerTask)
}
