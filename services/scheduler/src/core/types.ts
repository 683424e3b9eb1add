/** Words of the scheduler's core. Everything here is plain JSON data. */

/** An amount of schedulable resources. */
export type Resources = {
  /** Whole accelerators. */
  readonly devices: number
  /** CPU in thousandths of a core. */
  readonly cpuMillis: number
  /** Main memory in MiB. */
  readonly memoryMib: number
}

/** Tasks that start together or not at all. */
export type GangSpec = {
  /** Number of tasks, 1 to {@link TASKS_MAX}. */
  readonly tasks: number
  /** Each task's need. */
  readonly perTask: Resources
  /** Accelerator models that will do, exact or with a trailing `*`; empty = any. */
  readonly deviceModels: readonly string[]
  /** Ports that rank 0 needs on its node, 0 to 16. */
  readonly rank0Ports: number
  /** Work with outside effects: never two generations at once. */
  readonly exclusive: boolean
  /** Absent = the gang always has `tasks`. */
  readonly elastic?: ElasticSpec
}

/** A gang that is placed with as many tasks as fit, from `GangSpec.tasks` down to `minTasks`. */
export type ElasticSpec = {
  readonly minTasks: number
  /** Most tasks that it may be scaled to. */
  readonly maxTasks: number
  /** Shortest time between two planned changes of its size, ms. */
  readonly cooldownMs: number
  /** How long a running gang is waited for that shall write a checkpoint first, ms. */
  readonly noticeMs: number
}

/** Replicas of an Inference job, each a gang of its own. */
export type ServiceSpec = {
  readonly minReplicas: number
  readonly maxReplicas: number
  /** At first. */
  readonly replicas: number
  /** Between the news that a ready replica goes and its release, ms. */
  readonly drainMs: number
}

/** What the scheduler knows of a job. */
export type JobSpec = {
  readonly jobId: string
  readonly tenant: string
  readonly queue: string
  /** For people. */
  readonly name: string
  readonly gang: GangSpec
  /** Wait even if the fleet can never hold the gang as it is now. */
  readonly waitForCapacity: boolean
  /** Order inside the queue, higher first. */
  readonly priority: number
  /** Time of the submission, ms since 1970. */
  readonly submittedMs: number
  /** An Inference job: `gang` is what each replica is. Absent = the job is that gang. */
  readonly service?: ServiceSpec
}

/** A queue as it was made. */
export type QueueSpec = {
  readonly name: string
  readonly tenant: string
  /** Share among queues of the same priority, 1 to 1,000. */
  readonly weight: number
  /** Higher goes first. */
  readonly priority: number
  /** Most that placed jobs of the queue may hold; a field of 0 = no maximum. */
  readonly maximum: Resources
}

/** Codes a waiting job can have here; a part of the closed list of `common.v1.Reason`. */
export type ReasonCode =
  | 'NOT_YET_EVALUATED'
  | 'EXCEEDS_QUEUE_MAX'
  | 'NO_MATCHING_NODE'
  | 'QUOTA_WAIT'
  | 'CAPACITY_WAIT'
  | 'GANG_INCOMPLETE'
  | 'DEPENDENCY_WAIT'
  | 'BACKOFF'

/** Names of what can fall short. */
export type Dimension = 'devices' | 'cpuMillis' | 'memoryMib' | 'tasks' | 'ports'

/** One dimension that falls short. */
export type Shortfall = {
  readonly dimension: Dimension
  /** What the gang (or one task, where `perTask`) needs. */
  readonly want: number
  /** What is free now over all matching nodes, or on the best node. */
  readonly free: number
  /** What the matching nodes have when empty, or the queue's maximum. */
  readonly total: number
  /** Best candidate node; empty for sums. */
  readonly nodeId: string
  readonly perTask: boolean
}

/** Why something waits. */
export type Reason = {
  readonly code: ReasonCode
  readonly shortfalls: readonly Shortfall[]
  /** Nodes known when the code was set. */
  readonly nodesTotal: number
  /** Nodes of those that can never hold a task of this job. */
  readonly nodesFiltered: number
  /** Earliest time of a change by itself, ms since 1970; 0 = unknown. */
  readonly untilMs: number
}

/** The reason of a class that no round has looked at yet. */
export const NOT_YET: Reason = {
  code: 'NOT_YET_EVALUATED',
  shortfalls: [],
  nodesTotal: 0,
  nodesFiltered: 0,
  untilMs: 0,
}

/** State of a node as the scheduler uses it: only `Ready` gets new placements. */
export type NodeState = 'Ready' | 'Disconnected' | 'Lost'

/** An accelerator of a node. */
export type DeviceFacts = {
  readonly model: string
  readonly emulated: boolean
  readonly healthy: boolean
}

/** What the pool manager said of a node. */
export type NodeFacts = {
  readonly nodeId: string
  readonly state: NodeState
  readonly cpuMillis: number
  readonly memoryMib: number
  /** By device index. */
  readonly devices: readonly DeviceFacts[]
  /** Address other tasks reach this node at. */
  readonly address: string
  /** Range of ports for tasks, both ends included; 0 and 0 = none. */
  readonly portFirst: number
  readonly portLast: number
}

/** What to do for the next generation of a gang. */
export type RecoveryPlan = {
  readonly incidentId: string
  /** Empty = from the start. */
  readonly checkpointPath: string
  readonly checkpointStep: number
  /** Place no earlier than this, ms since 1970; 0 = at once. */
  readonly notBeforeMs: number
  /** Avoided where there is another way. */
  readonly avoidNodes: readonly string[]
  /** One line for people. */
  readonly cause: string
  readonly restartsCharged: number
}

/** Feature level from which on there are services and elastic gangs. */
export const SCALING_LEVEL = 2
export const HOUR_MS = 3_600_000
/** Most replicas of a service. */
export const REPLICAS_MAX = 1_000
/** Most tasks of a gang; a commit still holds their columns. */
export const TASKS_MAX = 16_384
/** Most nodes of a cell that are ever known. */
export const NODES_MAX = 65_536
/** Most devices of one node. */
export const NODE_DEVICES_MAX = 1_024
/** Most queues of a cell. */
export const QUEUES_MAX = 10_000
/** Most unfinished jobs of a cell. */
export const LIVE_JOBS_MAX = 1_000_000
/** Finished jobs that stay known. */
export const FINISHED_KEPT = 1_000
/** Entries of a job's story; the first and the newest are kept. */
export const STORY_MAX = 200
/** Longest result line kept, characters; a longer one is left out. */
export const RESULT_MAX_CHARS = 65_536

export const NOTHING: Resources = { devices: 0, cpuMillis: 0, memoryMib: 0 }

/** `count` times `each`. */
export function times(each: Resources, count: number): Resources {
  return {
    devices: each.devices * count,
    cpuMillis: each.cpuMillis * count,
    memoryMib: each.memoryMib * count,
  }
}

/** Component-wise sum; `sign` −1 subtracts. */
export function plus(a: Resources, b: Resources, sign: 1 | -1 = 1): Resources {
  return {
    devices: a.devices + sign * b.devices,
    cpuMillis: a.cpuMillis + sign * b.cpuMillis,
    memoryMib: a.memoryMib + sign * b.memoryMib,
  }
}

/** Equal needs have equal keys: if one gang of a key does not fit, none of that key does. */
export function shapeKey(gang: GangSpec): string {
  const { devices, cpuMillis, memoryMib } = gang.perTask
  const flags = `${gang.rank0Ports}.${gang.exclusive ? 'x' : ''}`
  const models = JSON.stringify(gang.deviceModels)
  const least = gang.elastic === undefined ? '' : `.e${gang.elastic.minTasks}`
  return `${gang.tasks}.${devices}.${cpuMillis}.${memoryMib}.${flags}.${models}${least}`
}

/** The gang with another number of tasks. */
export function withTasks(gang: GangSpec, tasks: number): GangSpec {
  return gang.tasks === tasks ? gang : { ...gang, tasks }
}

/** The smallest gang that will do: if it does not fit, nothing of the gang does. */
export function leastGang(gang: GangSpec): GangSpec {
  return gang.elastic === undefined ? gang : withTasks(gang, gang.elastic.minTasks)
}
