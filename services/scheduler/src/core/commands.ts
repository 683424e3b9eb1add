import type { JobSpec, NodeFacts, QueueSpec, RecoveryPlan } from './types.ts'

/** Commands: requests of callers, observations from the pool manager, due timers. */
export type SchedulerCommand =
  | { readonly type: 'CreateQueue'; readonly queue: QueueSpec }
  | { readonly type: 'EnqueueJob'; readonly job: JobSpec }
  | { readonly type: 'CancelJob'; readonly jobId: string; readonly by: string }
  | RecoverGang
  | GiveUpJob
  | { readonly type: 'EndBackoff'; readonly jobId: string; readonly generation: number }
  | { readonly type: 'ContinueRound' }
  | { readonly type: 'ObserveNode'; readonly node: NodeFacts }
  | { readonly type: 'ObserveNodeLost'; readonly nodeId: string }
  | ObserveTasks
  | ObserveResult
  | ObserveFreed
  | ReplacePool

/** Release the gang's generation and place the next one. */
export type RecoverGang = {
  readonly type: 'RecoverGang'
  readonly jobId: string
  readonly gang: number
  readonly expectedGeneration: number
  readonly plan: RecoveryPlan
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
}
