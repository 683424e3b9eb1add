/** Words of the resource profiler: jobs, what is known of how they work, and load of services. */
import type { Digest } from './histogram.ts'

export * from './limits.ts'

/** Why something is not known. */
export type Unknown =
  | 'NOT_RUNNING'
  | 'NOT_TRAINING'
  | 'NO_STEPS'
  | 'FEW_STEPS'
  | 'NO_TELEMETRY'
  | 'FEW_SAMPLES'
  | 'NO_READING'
  | 'STEADY'
  | 'NO_PERIOD'
  | 'TOO_COARSE'
  | 'UNSTEADY'
  | 'GROWING'
  | 'STALE'
  | 'FEW_STARTS'
  | 'NO_CHECKPOINTS'
  | 'NO_LOAD'
  | 'HISTORY_SHORT'

/** Steps that a task had done at a time. */
export type StepPoint = readonly [atMs: number, step: number]

/** Steps of rank 0 in the present generation, and by whose clock they are told. */
export type StepTrack = {
  readonly clock: 'task' | 'log'
  /** Newest last, at most STEPS_KEPT. */
  readonly points: readonly StepPoint[]
}

export type PerTask = {
  readonly devices: number
  readonly cpuMillis: number
  readonly memoryMib: number
}

/** A gang's present generation. */
export type GangState = {
  readonly gang: number
  readonly generation: number
  /** Node of each rank; empty = its placement is not known yet. */
  readonly nodeOfRank: readonly string[]
  /** Device indexes, all ranks one after another, `perTask.devices` each. */
  readonly devices: readonly number[]
  /** Log time of the placement, ms; 0 = not known. */
  readonly placedMs: number
  /** Ranks that run. */
  readonly started: Set<number>
  /** Newest start of a task, ms; 0 = none. */
  readonly latestMs: number
  /** Log time at which all ran, ms; 0 = not yet. */
  readonly startedMs: number
  /** Log time of the first step or readiness, ms; 0 = not yet. */
  readonly readyMs: number
  readonly track: StepTrack
  /** Through when usage of each rank is in, wall clock of its node, ms. */
  readonly usageThroughMs: Map<number, number>
}

/** A period that shows in the CPU use of a task, or why none does. */
export type BurstFinding = {
  readonly periodUs: number
  readonly lowUs: number
  readonly highUs: number
  readonly unknown: '' | 'STEADY' | 'NO_PERIOD' | 'TOO_COARSE' | 'FEW_SAMPLES'
  /** Samples and time that it stands on. */
  readonly samples: number
  readonly spanMs: number
  readonly source: string
}

/** The newest finding, when, and whether the one before said the same. */
export type BurstState = BurstFinding & {
  readonly gang: number
  readonly generation: number
  readonly atMs: number
  readonly agrees: boolean
}

/** What is known of the use of one resource. */
export type Usage = {
  readonly digest: Digest
  /** Where the newest readings come from. */
  readonly source: string
  /** Wall clock of the nodes, ms. */
  readonly sinceMs: number
  readonly newestMs: number
}

/** How long a start took from its placement, ms; `readyMs` -1 = it is not ready yet. */
export type StartFact = {
  readonly gang: number
  readonly generation: number
  readonly startedMs: number
  readonly readyMs: number
}

export type CheckpointFact = {
  readonly atMs: number
  readonly step: number
  readonly bytes: number
}

/** A period of a generation that is over. */
export type PastIteration = {
  readonly periodUs: number
  readonly lowUs: number
  readonly highUs: number
  readonly source: string
  readonly samples: number
  readonly spanMs: number
  readonly newestMs: number
}

/** What was told last. Numbers of the profile that others act on; -1 = not known. */
export type Told = {
  readonly atMs: number
  /** Log time at which it was looked last whether there is something to tell, ms. */
  readonly lookedMs: number
  readonly number: number
  readonly numbers: readonly number[]
}

/** What happened to a profile, for people. */
export type StoryLine = {
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

export type JobState = {
  readonly jobId: string
  /** Empty = not known yet: operators alone see it. */
  tenant: string
  name: string
  queue: string
  /** It is a service. */
  isService: boolean
  /** A gang of it was placed. */
  placed: boolean
  /** Log time of its end, ms; 0 = it is open. */
  endedMs: number
  perTask: PerTask
  readonly gangs: Map<number, GangState>
  /** Gangs that are over, through which generation; newest last, at most RELEASED_KEPT. */
  released: readonly (readonly [gang: number, through: number])[]
  bursts: BurstState | null
  /** What the newest generation that is over had. */
  past: PastIteration | null
  /** From the start of the task until a period was known first, ms; -1 = never. */
  readyAfterMs: number
  cpu: Usage | null
  memory: Usage | null
  deviceBusy: Usage | null
  deviceMemory: Usage | null
  /** Memory of a task over time: `[wall clock of the node, MiB]`. */
  memoryTrend: readonly (readonly [number, number])[]
  /** Newest last. */
  starts: readonly StartFact[]
  checkpoints: readonly CheckpointFact[]
  told: Told
  /** It will be looked at whether there is something to tell. */
  pending: boolean
  story: readonly StoryLine[]
}

/** Load of a service by bucket. */
export type LoadState = {
  readonly jobId: string
  /** Number of the newest bucket since 1970; -1 = none. */
  newest: number
  /** By bucket, oldest first, at most BUCKETS_KEPT; -1 = not known. */
  arrivals: readonly number[]
  tokens: readonly number[]
  /** Log time at which the forecast was told last, ms; 0 = never. */
  toldMs: number
  toldLevel: number
  pending: boolean
}

/** A service as the mediator declares it. */
export type ServiceName = { readonly tenant: string; readonly name: string }

export type ProfilerState = {
  /** Open jobs, and the newest that ended. */
  readonly jobs: Map<string, JobState>
  /** Ended ones, oldest first. */
  ended: readonly string[]
  /** Services that take requests. */
  readonly services: Map<string, ServiceName>
  readonly loads: Map<string, LoadState>
  /** Log time of the last event, ms. */
  lastMs: number
}

export const newGang = (gang: number, generation: number): GangState => ({
  gang,
  generation,
  nodeOfRank: [],
  devices: [],
  placedMs: 0,
  started: new Set(),
  latestMs: 0,
  startedMs: 0,
  readyMs: 0,
  track: { clock: 'task', points: [] },
  usageThroughMs: new Map(),
})

export const newJob = (jobId: string, tenant: string): JobState => ({
  jobId,
  tenant,
  name: '',
  queue: '',
  isService: false,
  placed: false,
  endedMs: 0,
  perTask: { devices: 0, cpuMillis: 0, memoryMib: 0 },
  gangs: new Map(),
  released: [],
  bursts: null,
  past: null,
  readyAfterMs: -1,
  cpu: null,
  memory: null,
  deviceBusy: null,
  deviceMemory: null,
  memoryTrend: [],
  starts: [],
  checkpoints: [],
  told: { atMs: 0, lookedMs: 0, number: 0, numbers: [] },
  pending: false,
  story: [],
})

export const newLoad = (jobId: string): LoadState => ({
  jobId,
  newest: -1,
  arrivals: [],
  tokens: [],
  toldMs: 0,
  toldLevel: -1,
  pending: false,
})

/** The gang whose rank 0 speaks for the job: the lowest. */
export function leadGang(job: JobState): GangState | undefined {
  let found: GangState | undefined
  for (const gang of job.gangs.values()) {
    if (found === undefined || gang.gang < found.gang) found = gang
  }
  return found
}
