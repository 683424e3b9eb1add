import type { JobSpec } from './job-spec.ts'

/** States of a job as its owner sees them. */
export type JobState =
  | 'Submitted'
  | 'Queued'
  | 'Admitted'
  | 'Starting'
  | 'Running'
  | 'Recovering'
  | 'Succeeded'
  | 'Failed'
  | 'Cancelled'
  | 'Rejected'

/** True when nothing can change any more. */
export function isFinished(state: JobState): boolean {
  return (
    state === 'Succeeded' || state === 'Failed' || state === 'Cancelled' || state === 'Rejected'
  )
}

/** One dimension that falls short; the scheduler's numbers as they are. */
export type Shortfall = {
  readonly dimension: string
  readonly want: number
  readonly free: number
  readonly total: number
  readonly nodeId: string
  readonly perTask: boolean
}

/** Why a job waits: code of the closed list with numbers. */
export type Reason = {
  readonly code: string
  readonly shortfalls: readonly Shortfall[]
  readonly nodesTotal: number
  readonly nodesFiltered: number
  readonly jobsAhead: number
  /** ms since 1970; 0 = unknown. */
  readonly untilMs: number
}

/** Where a generation was placed. Columns: index i is rank i. */
export type Placement = {
  readonly gang: number
  readonly generation: number
  readonly nodes: readonly string[]
  /** Per rank: index into `nodes`. */
  readonly nodeOfRank: readonly number[]
  readonly rank0Ports: readonly number[]
  readonly masterAddress: string
  /** Empty = from the start. */
  readonly checkpointPath: string
  readonly checkpointStep: number
  /** True when any of its devices is emulated. */
  readonly emulated: boolean
  /** Of a replica: which description it runs; absent = the first. */
  readonly revision?: number
}

/** Last progress of a task. */
export type Progress = {
  readonly generation: number
  readonly rank: number
  readonly step: number
  /** 0 = unknown. */
  readonly totalSteps: number
  /** null = not reported. */
  readonly loss: number | null
  /** Clock of the node, ms since 1970; 0 = not reported. */
  readonly atMs: number
}

/** Last registered checkpoint. */
export type Checkpoint = {
  readonly generation: number
  readonly step: number
  readonly path: string
}

/** A refusal of the scheduler, kept to give the same answer again. */
export type Rejection = {
  /** Canonical code, for example `NOT_FOUND`. */
  readonly code: string
  readonly reason: string
  readonly message: string
  readonly metadata: Readonly<Record<string, string>>
}

/** An own entry of the story. */
export type StoryEntry = {
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

/** How many replicas or tasks a job has; the scheduler's numbers as they are. */
export type Scale = {
  readonly unit: 'Replicas' | 'Tasks'
  readonly min: number
  readonly max: number
  readonly wanted: number
  readonly granted: number
  readonly ready: number
  readonly draining: number
  readonly version: number
  /** Empty = nobody. */
  readonly owner: string
  readonly decisionId: string
  readonly changedMs: number
  readonly notBeforeMs: number
}

/** The last update of a service; the scheduler's words as they are. */
export type Update = {
  readonly number: number
  readonly revision: number
  readonly fromRevision: number
  readonly state: 'Rolling' | 'Stalled' | 'Done'
  readonly updated: number
  readonly outdated: number
  readonly cause: string
  readonly code: string
  readonly startedMs: number
  readonly changedMs: number
}

/** A description of a service. */
export type Revision = {
  /** From 1. */
  readonly revision: number
  readonly spec: JobSpec
  /** When it was given first. */
  readonly atMs: number
}

/** What is said of a replica beside its placement. */
export type ReplicaNews = {
  readonly gang: number
  readonly generation: number
  readonly ready?: boolean
  readonly cause?: string
  readonly address?: string
  readonly port?: number
  readonly draining?: boolean
}

/** A replica of an Inference job that holds devices. */
export type Replica = {
  placement: Placement
  ready: boolean
  /** It was ready in this generation. */
  served: boolean
  draining: boolean
  cause: string
  address: string
  port: number
}

/** What is known of a job. Mutable inside `evolve` only. */
export type JobRecord = {
  readonly jobId: string
  readonly tenant: string
  readonly submittedBy: string
  readonly requestId: string
  /** Of a service: that of its current revision. */
  spec: JobSpec
  readonly submittedMs: number
  state: JobState
  /** True once the scheduler is known to hold it. */
  enqueued: boolean
  /** Time of the last change the scheduler's feed told; 0 = none yet. */
  observedMs: number
  /** Who asked to cancel it; empty = nobody. */
  cancelRequestedBy: string
  reason: Reason | null
  generation: number
  startedMs: number
  finishedMs: number
  message: string
  code: string
  resultJson: string
  rejection: Rejection | null
  placement: Placement | null
  progress: Progress | null
  checkpoint: Checkpoint | null
  /** Of an Inference or elastic job, once the scheduler told it. */
  scale?: Scale
  /** Of an Inference job, by gang. */
  replicas?: Replica[]
  /** Revision that `spec` is, of a service that was updated; absent = 1. */
  revision?: number
  /** The newest ones and those in use, oldest first; absent = there is one. */
  revisions?: readonly Revision[]
  /** How often it was updated. */
  updates?: number
  /** How far the last update is, once the scheduler told it. */
  update?: Update
  readonly story: StoryEntry[]
}

/** The state of a cell's mediator. */
export interface MediatorState {
  /** By job id, in the order of submission. */
  readonly jobs: Map<string, JobRecord>
  /** Request id → job id, of the jobs above. */
  readonly requests: Map<string, string>
  /** Finished jobs, in the order in which they finished. */
  readonly finished: Set<string>
}

/** Finished jobs kept; the oldest is forgotten first. */
export const FINISHED_JOBS_MAX = 10_000
/** Jobs of a cell that have not finished. */
export const OPEN_JOBS_MAX = 100_000
/** Descriptions of a service that are kept beside those in use. */
export const REVISIONS_KEPT = 10
/** Own story entries per job; older ones of the middle are dropped. */
export const STORY_MAX = 100
/** Feature level from which on there are Inference and elastic jobs. */
export const SCALING_LEVEL = 2
/** Number of the rules that make a launch contract; recorded with each. */
export const LAUNCH_RULES = 1
