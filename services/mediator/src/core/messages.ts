import type { JobSpec } from './job-spec.ts'
import type {
  Checkpoint,
  JobState,
  Placement,
  Progress,
  Reason,
  Rejection,
  ReplicaNews,
  Scale,
  Update,
} from './model.ts'

/** What the scheduler said of a job. */
export type SchedulerView = {
  readonly jobId: string
  readonly state: JobState
  readonly reason: Reason | null
  readonly generation: number
  readonly atMs: number
  readonly message: string
  readonly code: string
  readonly resultJson: string
  /** Of an Inference or elastic job. */
  readonly scale?: Scale
  /** Of an Inference job that was updated. */
  readonly update?: Update
}

/** A gang's generations up to this one are over. */
export type ReleasedGang = {
  readonly jobId: string
  readonly gang: number
  readonly through: number
}

/** News of a replica. */
export type ReplicaSeen = { readonly jobId: string; readonly news: ReplicaNews }

/** A placement with its job. */
export type PlacedGang = {
  readonly jobId: string
  readonly placement: Placement
}

/** Give a service another description, or a former one. */
export type UpdateService = {
  readonly type: 'UpdateService'
  readonly jobId: string
  /** Empty = may update every job. */
  readonly tenant: string
  readonly by: string
  /** `null` with `toRevision`. */
  readonly spec: JobSpec | null
  /** 0 = what is described. */
  readonly toRevision: number
}

/** Requests of callers, what the owners said, effects that are done. */
export type MediatorCommand =
  | {
      readonly type: 'SubmitJob'
      readonly cell: number
      readonly tenant: string
      readonly submittedBy: string
      readonly requestId: string
      readonly spec: JobSpec
      /** What was said against it before: it is refused so. `null` = nothing. */
      readonly rejection: Rejection | null
    }
  | UpdateService
  | {
      readonly type: 'SettleUpdate'
      readonly jobId: string
      readonly number: number
      readonly rejection: Rejection | null
    }
  | { readonly type: 'SettleEnqueue'; readonly jobId: string; readonly rejection: Rejection | null }
  /** `tenant` empty = may cancel every job. */
  | {
      readonly type: 'CancelJob'
      readonly jobId: string
      readonly tenant: string
      readonly by: string
    }
  | { readonly type: 'SettleCancel'; readonly jobId: string }
  | { readonly type: 'ObserveState'; readonly view: SchedulerView }
  | { readonly type: 'PrepareLaunch'; readonly placed: PlacedGang }
  | {
      readonly type: 'ReplaceScheduler'
      readonly views: readonly SchedulerView[]
      readonly placed: readonly PlacedGang[]
      readonly released?: readonly ReleasedGang[]
      readonly replicas?: readonly ReplicaSeen[]
    }
  | { readonly type: 'ObserveReplica'; readonly seen: ReplicaSeen }
  | { readonly type: 'ObserveRelease'; readonly released: ReleasedGang }
  | { readonly type: 'ObserveProgress'; readonly jobId: string; readonly progress: Progress }
  | { readonly type: 'ObserveCheckpoint'; readonly jobId: string; readonly checkpoint: Checkpoint }
  | {
      readonly type: 'ReplaceCheckpoints'
      readonly checkpoints: readonly { readonly jobId: string; readonly checkpoint: Checkpoint }[]
    }
  /** The pool manager's reports are not part of its bootstrap feed; what is ready is. */
  | { readonly type: 'ReplacePool'; readonly replicas?: readonly ReplicaSeen[] }

/** A service has another description from now on; its replicas follow. */
export type ServiceUpdated = {
  readonly type: 'ServiceUpdated'
  readonly jobId: string
  /** Counts the updates of the job, from 1. */
  readonly number: number
  readonly revision: number
  /** Absent = a revision that it had before. */
  readonly spec?: JobSpec
  readonly by: string
}

/** What is recorded. */
export type MediatorEvent =
  | {
      readonly type: 'JobSubmitted'
      readonly jobId: string
      readonly tenant: string
      readonly submittedBy: string
      readonly requestId: string
      readonly spec: JobSpec
    }
  | { readonly type: 'JobEnqueued'; readonly jobId: string }
  | { readonly type: 'JobRejected'; readonly jobId: string; readonly rejection: Rejection }
  | ServiceUpdated
  | {
      readonly type: 'UpdateRefused'
      readonly jobId: string
      readonly number: number
      readonly rejection: Rejection
    }
  | { readonly type: 'JobCancelRequested'; readonly jobId: string; readonly by: string }
  | { readonly type: 'JobStateObserved'; readonly view: SchedulerView }
  | {
      readonly type: 'LaunchPrepared'
      readonly jobId: string
      readonly rules: number
      readonly placement: Placement
    }
  | { readonly type: 'ProgressObserved'; readonly jobId: string; readonly progress: Progress }
  | { readonly type: 'CheckpointObserved'; readonly jobId: string; readonly checkpoint: Checkpoint }
  | { readonly type: 'ReplicaObserved'; readonly jobId: string; readonly news: ReplicaNews }
  | { readonly type: 'ReplicaReleased'; readonly jobId: string; readonly gang: number }
  | { readonly type: 'JobForgotten'; readonly jobId: string }

/** Events that the level of the log must allow first. */
export const SCALING_EVENTS = [
  'ReplicaObserved',
  'ReplicaReleased',
  'ServiceUpdated',
  'UpdateRefused',
] as const
