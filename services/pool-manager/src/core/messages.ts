import type {
  Contract,
  ExecutionKey,
  GangId,
  Grant,
  Inventory,
  Notice,
  Readiness,
  Release,
  ReportedExecution,
  ReportedLine,
  TaskExit,
} from './model.ts'

/** A node's agent opened a stream. */
export interface RegisterNode {
  readonly type: 'RegisterNode'
  readonly nodeId: string
  readonly supervisorSession: string
  readonly inventory: Inventory
  /** Node's wall clock minus ours, ms; 0 when below 5 s. For people only. */
  readonly clockSkewMs: number
  /** Lease that this leader gives, ms. */
  readonly leaseMs: number
}

/** A node says what its executions are and did. */
export interface ReportExecutions {
  readonly type: 'ReportExecutions'
  readonly nodeId: string
  readonly supervisorSession: string
  /**
   * Number inside the supervisor session, from 1; one that is not above the last one changes
   * nothing.
   */
  readonly number: number
  /** Revision of the newest desired set the agent has applied; 0 = unknown. */
  readonly appliedRevision: number
  /** Everything the node holds. */
  readonly executions: readonly ReportedExecution[]
  readonly lines: readonly ReportedLine[]
}

/** A new supervisor session stayed without a report: nothing of older sessions is alive. */
export interface AssumeSessionEmpty {
  readonly type: 'AssumeSessionEmpty'
  readonly nodeId: string
  readonly supervisorSession: string
}

/** The stream of a node ended or its lease ran out. */
export interface DisconnectNode {
  readonly type: 'DisconnectNode'
  readonly nodeId: string
  /** Registration this was decided at: a later one wins. */
  readonly registration: number
  readonly cause: string
}

/** A node stayed silent for the leader's whole wait. */
export interface LoseNode {
  readonly type: 'LoseNode'
  readonly nodeId: string
  readonly registration: number
  readonly silentMs: number
}

/** The scheduler placed a gang's generation. */
export interface TakeGrant {
  readonly type: 'TakeGrant'
  readonly grant: Grant
}

/** The mediator prepared the launch of a gang's generation. */
export interface TakeContract {
  readonly type: 'TakeContract'
  readonly contract: Contract
}

/** The scheduler ended generations of a gang. */
export interface TakeRelease {
  readonly type: 'TakeRelease'
  readonly release: Release
}

/** A running generation shall know something. */
export interface TakeNotice extends GangId {
  readonly type: 'TakeNotice'
  readonly generation: number
  readonly notice: Notice
}

/** The scheduler's full state after a gap. */
export interface ReplaceSchedule {
  readonly type: 'ReplaceSchedule'
  readonly grants: readonly Grant[]
  readonly releases: readonly Release[]
  readonly notices?: readonly TakeNotice[]
}

/** The mediator's full state after a gap. */
export interface ReplaceContracts {
  readonly type: 'ReplaceContracts'
  readonly contracts: readonly Contract[]
}

export type PoolCommand =
  | RegisterNode
  | ReportExecutions
  | AssumeSessionEmpty
  | DisconnectNode
  | LoseNode
  | TakeGrant
  | TakeContract
  | TakeRelease
  | TakeNotice
  | ReplaceSchedule
  | ReplaceContracts

/** A node's agent registered: it is Ready. */
export interface NodeRegistered {
  readonly type: 'NodeRegistered'
  readonly nodeId: string
  readonly supervisorSession: string
  readonly inventory: Inventory
  readonly clockSkewMs: number
  /** Lease given from here on, ms; committed before the node has it. */
  readonly leaseMs?: number
  /** One line for people; empty = nothing that others see changed. */
  readonly change: string
}

export interface NodeDisconnected {
  readonly type: 'NodeDisconnected'
  readonly nodeId: string
  readonly cause: string
}

export interface NodeLost {
  readonly type: 'NodeLost'
  readonly nodeId: string
  readonly silentMs: number
}

export interface GangGranted {
  readonly type: 'GangGranted'
  readonly grant: Grant
}

export interface ContractPrepared {
  readonly type: 'ContractPrepared'
  readonly contract: Contract
}

/** Grant and contract are there: the ranks enter the desired sets of their nodes. */
export interface RanksAssigned extends GangId {
  readonly type: 'RanksAssigned'
  readonly generation: number
}

export interface GangReleased extends Release {
  readonly type: 'GangReleased'
}

export interface TaskStarted {
  readonly type: 'TaskStarted'
  readonly key: ExecutionKey
  readonly startedMs: number
}

export interface TaskExited {
  readonly type: 'TaskExited'
  readonly key: ExecutionKey
  readonly exit: TaskExit
}

/** A task became ready for requests or stopped being it. */
export interface TaskReadinessObserved {
  readonly type: 'TaskReadinessObserved'
  readonly key: ExecutionKey
  readonly readiness: Readiness
}

/** The desired set of a generation carries a notice from here on. */
export interface NoticeGiven extends GangId {
  readonly type: 'NoticeGiven'
  readonly generation: number
  readonly notice: Notice
}

/** Events that the level of the log must allow first. */
export const SERVING_EVENTS = ['TaskReadinessObserved', 'NoticeGiven'] as const

/** A report line of the newest generation. Older progress lines of the same report are left out. */
export interface TaskReported {
  readonly type: 'TaskReported'
  readonly key: ExecutionKey
  readonly kind: LineKind
  readonly line: number
  readonly json: string
}

/** Processes are certainly gone: devices, CPU, memory and ports are free. */
export interface DevicesFreed extends GangId {
  readonly type: 'DevicesFreed'
  readonly generation: number
  /** Ascending. */
  readonly ranks: readonly number[]
  readonly nodeId: string
}

/** A report was worked in. */
export interface ReportTaken {
  readonly type: 'ReportTaken'
  readonly nodeId: string
  readonly number: number
}

/** A finished gang was forgotten to keep the state bounded. */
export interface GangPruned extends GangId {
  readonly type: 'GangPruned'
}

export type PoolEvent =
  | NodeRegistered
  | NodeDisconnected
  | NodeLost
  | GangGranted
  | ContractPrepared
  | RanksAssigned
  | GangReleased
  | TaskStarted
  | TaskExited
  | TaskReadinessObserved
  | NoticeGiven
  | TaskReported
  | DevicesFreed
  | ReportTaken
  | GangPruned

/** Kinds of report lines that mean something to the platform. */
export type LineKind = 'checkpoint' | 'progress' | 'result'
