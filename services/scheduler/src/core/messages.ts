import type { JobSpec, NodeFacts, QueueSpec, Reason, RecoveryPlan } from './types.ts'
import type { EndStartup, UpdateEvent, UpdateService } from './update-messages.ts'

/** Commands: requests of callers, observations from the pool manager, due timers. */
export type SchedulerCommand =
  | { readonly type: 'CreateQueue'; readonly queue: QueueSpec }
  | { readonly type: 'EnqueueJob'; readonly job: JobSpec }
  | { readonly type: 'CancelJob'; readonly jobId: string; readonly by: string }
  | RecoverGang
  | GiveUpJob
  | {
      readonly type: 'EndBackoff'
      readonly jobId: string
      /** Default 0. */
      readonly gang?: number
      readonly generation: number
    }
  | { readonly type: 'ContinueRound' }
  | { readonly type: 'ObserveNode'; readonly node: NodeFacts }
  | { readonly type: 'ObserveNodeLost'; readonly nodeId: string }
  | ObserveTasks
  | ObserveResult
  | ObserveFreed
  | ResizeJob
  | UpdateService
  | EndStartup
  | ObserveReadiness
  | {
      readonly type: 'EndDrain'
      readonly jobId: string
      readonly gang: number
      readonly generation: number
    }
  | ReplacePool

/** Release the gang's generation and place the next one. */
export type RecoverGang = {
  readonly type: 'RecoverGang'
  readonly jobId: string
  readonly gang: number
  readonly expectedGeneration: number
  readonly plan: RecoveryPlan
}

/** Set how many replicas a service, or tasks an elastic job, shall have. */
export type ResizeJob = {
  readonly type: 'ResizeJob'
  readonly jobId: string
  /** Left alone with `release`. */
  readonly wanted: number
  /** Version that was decided upon; 0 = whatever is current, for {@link OWNER_USER} alone. */
  readonly expectedVersion: number
  /** {@link OWNER_USER}, or the name of a controller. */
  readonly owner: string
  /** Who asked. */
  readonly by: string
  readonly decisionId: string
  readonly cause: string
  /** Nobody owns the scale any more. */
  readonly release: boolean
}

/** The owner that takes a scale from anyone. */
export const OWNER_USER = 'user'

/** What the probe of a rank found. */
export type ObserveReadiness = {
  readonly type: 'ObserveReadiness'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly rank: number
  readonly ready: boolean
  readonly cause: string
}

/** End the job as failed. */
export type GiveUpJob = {
  readonly type: 'GiveUpJob'
  readonly jobId: string
  readonly gang: number
  readonly expectedGeneration: number
  readonly code: string
  readonly cause: string
  readonly incidentId: string
}

/**
 * Ranks started, or ended by themselves with code 0 (other ends are the business of fault
 * tolerance).
 */
export type ObserveTasks = {
  readonly type: 'ObserveTasks'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly started: readonly number[]
  readonly ended: readonly number[]
}

/** A result line of a rank. */
export type ObserveResult = {
  readonly type: 'ObserveResult'
  readonly jobId: string
  readonly generation: number
  readonly rank: number
  readonly json: string
}

/** Ranks whose processes are certainly gone. */
export type ObserveFreed = {
  readonly type: 'ObserveFreed'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly ranks: readonly number[]
}

/**
 * All that the pool manager knows, after a gap: nodes that are absent are gone, the rest is caught
 * up with.
 */
export type ReplacePool = {
  readonly type: 'ReplacePool'
  readonly nodes: readonly NodeFacts[]
  readonly lost: readonly string[]
  readonly tasks: readonly ObserveTasks[]
  readonly freed: readonly ObserveFreed[]
  readonly readiness?: readonly ObserveReadiness[]
}

/** Events of the scheduler. Plain JSON; never edited, only extended by optional fields. */
export type SchedulerEvent =
  | QueueCreated
  | JobQueued
  | ClassReasonChanged
  | JobReasonChanged
  | GangPlaced
  | TasksObserved
  | ResultReported
  | GangReleased
  | JobRecovering
  | BackoffEnded
  | JobSucceeded
  | JobFailed
  | JobCancelled
  | RanksFreed
  | NodeObserved
  | NodeLost
  | ServiceQueued
  | ScaleChanged
  | ReplicasAdded
  | ReplicaReady
  | ReplicaDraining
  | ReplicaRemoved
  | CheckpointRequested
  | UpdateEvent

/** Events that the level of each log must allow first. */
export const SCALING_EVENTS = [
  'ServiceQueued',
  'ScaleChanged',
  'ReplicasAdded',
  'ReplicaReady',
  'ReplicaDraining',
  'ReplicaRemoved',
  'CheckpointRequested',
  'UpdateStarted',
  'UpdateStalled',
  'UpdateFinished',
] as const satisfies readonly SchedulerEvent['type'][]

/** An Inference job was taken; it has no replicas yet. */
export type ServiceQueued = { readonly type: 'ServiceQueued'; readonly job: JobSpec }

/** A version of a job's scale. */
export type ScaleChanged = {
  readonly type: 'ScaleChanged'
  readonly jobId: string
  readonly wanted: number
  readonly version: number
  /** Empty = nobody. */
  readonly owner: string
  readonly decisionId: string
  readonly by: string
  readonly cause: string
}

/** Replicas of a service wait in its queue. */
export type ReplicasAdded = {
  readonly type: 'ReplicasAdded'
  readonly jobId: string
  readonly gangs: readonly number[]
  /** Absent = 1. */
  readonly revision?: number
}

/** A replica became ready for requests, or stopped being it. */
export type ReplicaReady = {
  readonly type: 'ReplicaReady'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly ready: boolean
  /** Why it is not. */
  readonly cause: string
}

/** A replica gets no new requests, and is released at that time. */
export type ReplicaDraining = {
  readonly type: 'ReplicaDraining'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly untilMs: number
  readonly cause: 'SCALED_DOWN' | 'UPDATED'
}

/** A replica that holds no allocation is not wanted any more. */
export type ReplicaRemoved = {
  readonly type: 'ReplicaRemoved'
  readonly jobId: string
  readonly gang: number
}

/** A running gang shall write a checkpoint, and is then placed with another number of tasks. */
export type CheckpointRequested = {
  readonly type: 'CheckpointRequested'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly noticeId: string
  readonly deadlineMs: number
  /** Tasks wanted of the next generation. */
  readonly tasks: number
  readonly cause: string
}

/** A queue was made. */
export type QueueCreated = { readonly type: 'QueueCreated'; readonly queue: QueueSpec }

/** A job waits in its queue. */
export type JobQueued = { readonly type: 'JobQueued'; readonly job: JobSpec }

/** Why the never placed jobs of one shape wait in a queue. */
export type ClassReasonChanged = {
  readonly type: 'ClassReasonChanged'
  readonly queue: string
  /** Key of the class. */
  readonly shape: string
  readonly reason: Reason
  /** False when only numbers changed. */
  readonly codeChanged: boolean
}

/** Why a job between two generations waits. */
export type JobReasonChanged = {
  readonly type: 'JobReasonChanged'
  readonly jobId: string
  /** Set for replicas of a service alone. */
  readonly gang?: number
  readonly reason: Reason
}

/**
 * A gang's generation got its allocation. Columns: entry i of the node columns is one node, ranks
 * follow one after another.
 */
export type GangPlaced = {
  readonly type: 'GangPlaced'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  /** Names of the nodes. */
  readonly nodes: readonly string[]
  /** Ranks on each. */
  readonly tasksOnNode: readonly number[]
  readonly nodeEmulated: readonly boolean[]
  /** Rank after rank, as many for each as the gang asks per task. */
  readonly deviceIndexes: readonly number[]
  readonly rank0Ports: readonly number[]
  readonly masterAddress: string
  readonly checkpointPath: string
  readonly checkpointStep: number
  readonly restartsCharged: number
  /** Of a replica; absent = 1. */
  readonly revision?: number
}

/** Ranks of the current generation started or ended by themselves with code 0. */
export type TasksObserved = {
  readonly type: 'TasksObserved'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly started: readonly number[]
  readonly ended: readonly number[]
  /** Phase that the job enters by this; empty = none. */
  readonly phase: 'Starting' | 'Running' | ''
}

/** Rank 0 reported a result line. */
export type ResultReported = {
  readonly type: 'ResultReported'
  readonly jobId: string
  readonly generation: number
  readonly json: string
}

/**
 * All generations of a gang up to this one are over. What they hold stays held until it is freed.
 */
export type GangReleased = {
  readonly type: 'GangReleased'
  readonly jobId: string
  readonly gang: number
  readonly throughGeneration: number
  readonly cause: 'RECOVER' | 'RESIZE' | 'FINISHED' | 'CANCELLED' | 'FAILED' | 'DRAINED'
}

/** The next generation is on its way. Follows the release. */
export type JobRecovering = {
  readonly type: 'JobRecovering'
  readonly jobId: string
  readonly gang: number
  /** Generation that failed. */
  readonly generation: number
  readonly plan: RecoveryPlan
  /** Why it waits at first. */
  readonly reason: Reason
}

/** The back-off of a recovering job is over. */
export type BackoffEnded = {
  readonly type: 'BackoffEnded'
  readonly jobId: string
  /** Set for replicas of a service alone. */
  readonly gang?: number
}

/** All ranks ended well. */
export type JobSucceeded = { readonly type: 'JobSucceeded'; readonly jobId: string }

/** Given up. */
export type JobFailed = {
  readonly type: 'JobFailed'
  readonly jobId: string
  readonly code: string
  readonly cause: string
  readonly incidentId: string
}

/** Ended by request. */
export type JobCancelled = {
  readonly type: 'JobCancelled'
  readonly jobId: string
  readonly by: string
}

/** Ranks do not hold anything any more. */
export type RanksFreed = {
  readonly type: 'RanksFreed'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly ranks: readonly number[]
}

/** A node registered or changed. */
export type NodeObserved = { readonly type: 'NodeObserved'; readonly node: NodeFacts }

/** A node is believed lost. */
export type NodeLost = { readonly type: 'NodeLost'; readonly nodeId: string }
