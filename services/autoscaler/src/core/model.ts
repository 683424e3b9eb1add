/** Words of the autoscaler: what is scaled, what is known of it, what was decided. */
import type { HpaState } from './hpa.ts'
import type { KpaState } from './kpa.ts'
import type { Note, Rejected, UsedInput } from './policy.ts'
import type { PredictiveState } from './predictive/state.ts'
import { initialShare, type ShareState } from './share.ts'

export type Mode = 'automatic' | 'advise' | 'off'

export type PolicyName = 'predictive' | 'kpa' | 'hpa'

/** How a service wants to be scaled. */
export type Settings = {
  readonly policy: PolicyName
  /** Without a request for so long it goes to zero, where that is allowed. */
  readonly idleMs: number
  /** Requests at once of a replica, thousandths: what `kpa` and `hpa` aim at. */
  readonly targetMilli: number
  /** Requests a second that a replica surely bears, thousandths; 0 = as measured. */
  readonly capacityMilli: number
}

/** A limit that requests are to keep: a clause of an objective. */
export type Clause = {
  /** `wait`: held at the gate no longer, and answered. */
  readonly indicator: 'ttft' | 'tpot' | 'e2e' | 'availability' | 'wait'
  readonly thresholdUs: number
  /** Share of the requests that may miss it, millionths. */
  readonly missPpm: number
}

/** A scale as the scheduler tells it. */
export type ScaleView = {
  readonly unit: 'replicas' | 'tasks'
  readonly min: number
  readonly max: number
  readonly wanted: number
  readonly granted: number
  readonly ready: number
  readonly draining: number
  readonly version: number
  /** `user`, a controller, or empty: whoever comes first. */
  readonly owner: string
  readonly decisionId: string
  readonly changedMs: number
  readonly notBeforeMs: number
}

/** What the mediator says of a service. */
export type ServiceFacts = {
  readonly concurrency: number
  readonly class: string
  readonly devicesEach: number
  /** Names of objectives. */
  readonly objectives: readonly string[]
  readonly settings: Settings
}

/** A policy under way. */
export type PolicyRun =
  | { readonly policy: 'predictive'; readonly state: PredictiveState }
  | { readonly policy: 'kpa'; readonly state: KpaState }
  | { readonly policy: 'hpa'; readonly state: HpaState }

/** What a replica bears, as measured. Whole numbers. */
export type CapacityView = {
  /** Time of a request at a replica that has little else, microseconds; 0 = none has ended. */
  readonly lightUs: number
  /** Requests a second of a replica now, thousandths, smoothed. */
  readonly rateMilli: number
  /** The most of it within the objective. */
  readonly bestMilli: number
  /** What is reckoned with, thousandths, on a coarse scale. */
  readonly capacityMilli: number
}

/** A decision of the autoscaler. */
export type ScaleDecision = {
  readonly decisionId: string
  readonly atMs: number
  readonly from: number
  readonly wanted: number
  /** What the policy alone wanted. */
  readonly policyWanted: number
  readonly granted: number
  readonly outcome: 'APPLIED' | 'ADVISED' | 'HELD'
  readonly scaleVersion: number
  readonly policy: PolicyName | 'share'
  readonly policyVersion: number
  readonly hold?: Note
  readonly notes: readonly Note[]
  readonly rejected: readonly Rejected[]
  readonly inputs: readonly UsedInput[]
  readonly model: Readonly<Record<string, number>>
}

/** What happened to a target, for people. */
export type StoryLine = {
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

/** Arrivals that the resource profiler expects. */
export type ForecastView = {
  /** Log time of the profiler, ms. */
  readonly atMs: number
  readonly bucketMs: number
  /** Begin of the first bucket, ms since 1970. */
  readonly startMs: number
  /** Requests a second by bucket, thousandths. */
  readonly perSMilli: readonly number[]
}

/** A service or an elastic training job. */
export type Target = {
  readonly jobId: string
  tenant: string
  name: string
  queue: string
  mode: Mode
  /** Absent: the scheduler has not told it yet. */
  scale: ScaleView | undefined
  /** Absent: training, or the mediator has not told it yet. */
  service: ServiceFacts | undefined
  /** Of the job. */
  jobState: string
  /** Code of what its gangs wait for; empty = nothing. */
  waiting: string
  /** Devices of one task of a training job; 0 = it was never placed. */
  taskDevices: number
  /** Replicas that were placed and were not ready yet, the oldest first. */
  starting: readonly (readonly [gang: number, placedMs: number])[]
  /** Start-ups that ended since the last step. */
  startupsMs: readonly number[]
  run: PolicyRun | undefined
  capacity: CapacityView
  /** Time as the policy sees it: no jump of the log's clock is in it. */
  clockMs: number
  /** Log time of the last step; 0 = none. */
  steppedMs: number
  /** Time as the policy sees it when there was anything to see last. */
  activeMs: number
  /** Gates that held requests at their last word. */
  busy: readonly string[]
  /** A decision that the scheduler has not answered. */
  pending: { readonly decisionId: string; readonly wanted: number } | undefined
  /** No decision before this log time; why. */
  blocked: { readonly untilMs: number; readonly code: string } | undefined
  /** The scheduler knows a newer version than this: it will be told. */
  staleVersion: number
  forecast: ForecastView | undefined
  /** Actions that ask for more replicas, and how many at least while they last. */
  urgent: { readonly actionIds: readonly string[]; readonly least: number } | undefined
  decisions: readonly ScaleDecision[]
  /** What the last recorded decision said; a change is told. */
  told: { readonly signature: string; readonly atMs: number }
  story: readonly StoryLine[]
  /** A change of a training job's size that is going on. */
  resizing: { readonly sinceMs: number; readonly generation: number } | undefined
  /** What the last such changes took, ms. */
  restartMs: number
}

/** A node, as far as devices go. */
export type NodeView = { readonly devices: number; readonly ready: boolean }

/** What the newest generation of a gang holds. */
export type Holding = {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly devicesEach: number
  readonly ranks: readonly (readonly [nodeId: string, ranks: number])[]
}

/** An objective of requests, as far as scaling goes. */
export type ObjectiveView = {
  readonly name: string
  readonly tenant: string
  /** Job id or name; empty = all. */
  readonly service: string
  /** Of requests; absent = of all. Those of one class alone are no clause of a service. */
  readonly class?: string
  readonly clause: Clause
}

/** For which services an action holds. */
export type ActionScope = {
  /** Empty = all. */
  readonly tenant: string
  /** Job id or name; empty = all of the tenant. */
  readonly service: string
  /** Where no service is named: the class that they are of; empty = any. */
  readonly class: string
}

export type AutoscalerState = {
  readonly targets: Map<string, Target>
  /** Targets that are over, oldest first: their decisions can still be asked for. */
  ended: readonly Target[]
  readonly nodes: Map<string, NodeView>
  /** By job and gang. */
  readonly holdings: Map<string, Holding>
  /** Queue → most devices of its running jobs; 0 = no maximum. */
  readonly queues: Map<string, number>
  /** Other jobs in queues with a maximum → queue. */
  readonly jobQueues: Map<string, string>
  /** Other jobs that wait for devices. */
  readonly waiting: Set<string>
  readonly objectives: Map<string, ObjectiveView>
  /** Actions that ask for more replicas and are not over; those of older logs are at targets. */
  readonly actions: Map<string, ActionScope>
  share: ShareState
  /** Log time at which the share was divided last. */
  shareMs: number
  /** Time as the share sees it. */
  shareClockMs: number
  /** Decisions so far. */
  decisions: number
  /** Events so far: tells one state from another. */
  folded: number
}

export const initialState = (): AutoscalerState => ({
  targets: new Map(),
  ended: [],
  nodes: new Map(),
  holdings: new Map(),
  queues: new Map(),
  jobQueues: new Map(),
  waiting: new Set(),
  objectives: new Map(),
  actions: new Map(),
  share: initialShare,
  shareMs: 0,
  shareClockMs: 0,
  decisions: 0,
  folded: 0,
})

export const NO_CAPACITY: CapacityView = {
  lightUs: 0,
  rateMilli: 0,
  bestMilli: 0,
  capacityMilli: 0,
}

/** A target that nothing is known of but its id. */
export const newTarget = (jobId: string): Target => ({
  jobId,
  tenant: '',
  name: '',
  queue: '',
  mode: 'automatic',
  scale: undefined,
  service: undefined,
  jobState: '',
  waiting: '',
  taskDevices: 0,
  starting: [],
  startupsMs: [],
  run: undefined,
  capacity: NO_CAPACITY,
  clockMs: 0,
  steppedMs: 0,
  activeMs: 0,
  busy: [],
  pending: undefined,
  blocked: undefined,
  staleVersion: 0,
  forecast: undefined,
  urgent: undefined,
  decisions: [],
  told: { signature: '', atMs: 0 },
  story: [],
  resizing: undefined,
  restartMs: 0,
})

export const holdingKey = ({ jobId, gang }: Pick<Holding, 'jobId' | 'gang'>): string =>
  `${jobId}:${gang}`
