import { Fleet } from './fleet.ts'
import type { JobSpec, QueueSpec, Reason, Resources } from './types.ts'
import { NOTHING } from './types.ts'
import { JobClass, type WaitingJob } from './waiting.ts'

/** Where a job stands. */
export type Phase =
  /** Waits in its class; never placed. */
  | { readonly at: 'Queued' }
  /** Holds an allocation; `tally` counts what its ranks did. */
  | { readonly at: 'Admitted' | 'Starting' | 'Running'; readonly tally: RankTally }
  /**
   * Its last generation is released, the next one waits for `notBeforeMs` (0 = over) and a place.
   */
  | {
      readonly at: 'Recovering'
      readonly notBeforeMs: number
      readonly reason: Reason
      readonly cause: string
    }
  | { readonly at: 'Succeeded' }
  | { readonly at: 'Failed'; readonly code: string; readonly cause: string }
  | { readonly at: 'Cancelled'; readonly by: string }

/** Name of a phase. */
export type PhaseName = Phase['at']

/** What the ranks of the current generation did. */
export type RankTally = {
  /** Per rank: 0 nothing yet, 1 started, 2 ended by itself with code 0. */
  readonly ranks: Uint8Array
  started: number
  ended: number
}

/** One thing that happened to a job. */
export type StoryItem = {
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

/** How many replicas or tasks are wanted, and who said so. */
export type ScaleState = {
  readonly wanted: number
  /** From 1. */
  readonly version: number
  /** Empty = nobody: the first controller may claim it. */
  readonly owner: string
  readonly decisionId: string
  readonly by: string
  readonly cause: string
  readonly changedAtMs: number
}

/**
 * A job that is one gang, or a replica of a service. `order` is its place in the order of all
 * submissions.
 */
export type Job = WaitingJob & {
  /** The number of tasks of an elastic gang is the wanted one. */
  spec: JobSpec
  /** Of a replica alone, from 1. */
  readonly gang?: number
  /** Of a replica: what its probe said in this generation; absent = nothing yet. */
  ready?: { readonly now: boolean; readonly cause: string }
  /** Of a replica: it was ready at some time. */
  served?: true
  /** Of a replica: revision of the description that it runs; absent = 1. */
  readonly revision?: number
  /** Of a replica that gets no new requests. */
  drain?: { readonly untilMs: number; readonly cause: string }
  /** Of an elastic job alone. */
  scale?: ScaleState
  /** Of an elastic job: a checkpoint is waited for. */
  notice?: { readonly id: string; readonly deadlineMs: number; readonly tasks: number }
  /** Of an elastic job between two sizes: it waits for what it held itself. */
  resizing?: true
  /** Of an elastic job: when its size was last changed as planned. */
  resizedAtMs?: number
  readonly queuedAtMs: number
  phase: Phase
  /** Current generation, from 1; 0 = never placed. */
  generation: number
  /** All generations up to this one are released. */
  releasedThrough: number
  /** Generation that was recovered last and its incident, for repeated calls. */
  recovered: { readonly generation: number; readonly incidentId: string }
  checkpointPath: string
  checkpointStep: number
  restartsCharged: number
  avoidNodes: readonly string[]
  /** JSON of rank 0's last result line; empty = none. */
  result: string
  changedAtMs: number
  story: StoryItem[]
}

/** The last update of a service. */
export type UpdateState = {
  readonly at: 'Rolling' | 'Stalled' | 'Done'
  /** Counts the updates of the service, from 1. */
  readonly number: number
  readonly revision: number
  /** Revision that was whole before. */
  readonly from: number
  readonly maxSurge: number
  readonly maxUnavailable: number
  readonly startupDeadlineMs: number
  /** A replica of the revision was ready: it works. */
  readonly proven: boolean
  /** Replicas of it that failed in a row and never were ready. */
  readonly failures: number
  /** Why it stalled; empty = it did not. */
  readonly cause: string
  readonly startedAtMs: number
  readonly changedAtMs: number
}

/** An Inference job. Its replicas are jobs as far as placement knows. */
export type Service = {
  /** How long a replica drains may change with its revision. */
  spec: JobSpec
  readonly queuedAtMs: number
  scale: ScaleState
  /** Gang of the next replica. */
  nextGang: number
  /** By gang, ascending. */
  readonly replicas: Map<number, Job>
  /** Absent = it was never updated. */
  update?: UpdateState
  /** Set once it is over. */
  end: Extract<Phase, { at: 'Failed' | 'Cancelled' }> | undefined
  /** State as its owner sees it; follows from the replicas. */
  shows: PhaseName
  changedAtMs: number
  /** Shared by the replicas. */
  readonly story: StoryItem[]
}

/** What a gang's generation holds until each rank is freed. */
export type Holding = {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly perTask: Resources
  /** Node indexes. */
  readonly nodes: readonly number[]
  readonly tasksOnNode: readonly number[]
  readonly deviceIndexes: readonly number[]
  readonly ports: readonly number[]
  readonly masterAddress: string
  readonly nodeEmulated: readonly boolean[]
  /** Per rank: 1 = freed. */
  readonly freed: Uint8Array
  /** Ranks not freed yet. */
  held: number
}

/** A queue with what waits and runs in it. */
export type QueueState = {
  readonly spec: QueueSpec
  /** Held by placed jobs; generations that are released do not count, whether freed or not. */
  used: Resources
  placed: number
  queued: number
  /** Never placed jobs by shape. */
  readonly classes: Map<string, JobClass<Job>>
  /** Jobs between two generations, first come first served, ahead of all others. */
  readonly recovering: Job[]
  /** Grows whenever `used` shrinks or the queue changes. Not part of the JSON. */
  gains: number
}

/** The scheduler's state: a fold of its events. */
export type SchedulerState = {
  readonly fleet: Fleet
  readonly queues: Map<string, QueueState>
  /** Jobs that are one gang. */
  readonly jobs: Map<string, Job>
  readonly services: Map<string, Service>
  /** Services whose update goes on. Not part of the JSON. */
  readonly rolling: Set<string>
  /** Finished jobs, oldest first. */
  readonly finished: string[]
  readonly holdings: Map<string, Holding>
  /** Order that the next job gets. */
  nextOrder: number
  /** Unfinished jobs. */
  live: number
  /**
   * Memory of the last placement round, so that a round with nothing new costs nothing. No part of
   * the state: without it the next round only finds again that there is nothing to do.
   */
  readonly memo: RoundMemo
}

/** See {@link SchedulerState.memo}. */
export type RoundMemo = {
  /** Counts events after which a round may find something to do. */
  changes: number
  /** Value of `changes` for which nothing is left to do; −1 = never ran. */
  settledAt: number
  /**
   * What the last round learned, true only once its events are folded: a round may be dropped and
   * asked for again. `last` is its last event, the very object.
   */
  pending: { readonly last: object; readonly learn: () => void } | undefined
}

/** A new state. */
export function initialState(): SchedulerState {
  return {
    fleet: new Fleet(),
    queues: new Map(),
    jobs: new Map(),
    services: new Map(),
    rolling: new Set(),
    finished: [],
    holdings: new Map(),
    nextOrder: 1,
    live: 0,
    memo: { changes: 0, settledAt: -1, pending: undefined },
  }
}

/** A queue without load. */
export function emptyQueue(spec: QueueSpec): QueueState {
  return {
    spec,
    used: NOTHING,
    placed: 0,
    queued: 0,
    classes: new Map(),
    recovering: [],
    gains: 0,
  }
}

/** Key of a holding. */
export function holdingKey(jobId: string, gang: number, generation: number): string {
  return `${jobId}/${gang}/${generation}`
}

/** Holds an allocation and is not finished. */
export function isPlaced(phase: Phase): phase is Extract<Phase, { tally: RankTally }> {
  return phase.at === 'Admitted' || phase.at === 'Starting' || phase.at === 'Running'
}

/** Over for good. */
export function isFinished(phase: Phase): boolean {
  return phase.at === 'Succeeded' || phase.at === 'Failed' || phase.at === 'Cancelled'
}

/** Number of a job's gang: 0 unless it is a replica. */
export const gangOf = (job: Job): number => job.gang ?? 0

/** Names a job, or a replica of a service: `j-0-1`, `j-0-2/3`. */
export const unitKey = (job: Job): string =>
  job.gang === undefined ? job.spec.jobId : `${job.spec.jobId}/${job.gang}`

/** The job or the replica that a gang is. */
export function unitOf(state: SchedulerState, jobId: string, gang: number): Job | undefined {
  const service = state.services.get(jobId)
  if (service !== undefined) return service.replicas.get(gang)
  return gang === 0 ? state.jobs.get(jobId) : undefined
}

/** Tasks that a job is placed with; 0 = it is not. */
export const placedTasks = ({ phase }: Job): number =>
  isPlaced(phase) ? phase.tally.ranks.length : 0

/** Node index of a rank. */
export function nodeOfRank(holding: Holding, rank: number): number {
  let below = 0
  for (let i = 0; i < holding.nodes.length; i++) {
    below += holding.tasksOnNode[i]!
    if (rank < below) return holding.nodes[i]!
  }
  return -1
}
