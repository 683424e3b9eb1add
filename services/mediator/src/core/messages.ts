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
export const SCALING_EVENTS = ['ReplicaObserved', 'ReplicaReleased'] as const
