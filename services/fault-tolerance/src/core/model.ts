/** Words of fault tolerance: what is known of jobs, gangs, nodes, and of what went wrong. */

/** Causes as the pool manager reports them, without prefix. */
export type ExitCause =
  | 'EXITED'
  | 'STOPPED'
  | 'LEASE_LAPSED'
  | 'NODE_SHUTDOWN'
  | 'SUPERVISOR_LOST'
  | 'PORT_IN_USE'
  | 'START_FAILED'
  | 'PREPARE_FAILED'
  | 'OUT_OF_MEMORY'
  | 'NODE_LOST'
  /** Said by fault tolerance itself: a replica did not become ready in time. */
  | 'NEVER_READY'

/** How a task ended. */
export type TaskEnd = {
  readonly rank: number
  readonly nodeId: string
  readonly cause: ExitCause
  /** −1 when the process did not end by itself. */
  readonly exitCode: number
  /** `SIGKILL`, or empty. */
  readonly signal: string
  readonly message: string
  /** Wall clock of the node (last sign of life for a lost node), ms since 1970. */
  readonly atMs: number
}

/** Where the blame goes. `Planned` is never charged to the retry budget. */
export type Blame = 'Infrastructure' | 'User' | 'Planned'

/** What was concluded from the evidence. */
export type Verdict = {
  readonly blame: Blame
  /** For example `NODE_LOST`, `EXIT_CODE`, `KILLED_FROM_OUTSIDE`. */
  readonly cause: string
  /** One line for people. */
  readonly summary: string
  readonly avoidNodes: readonly string[]
}

export type Checkpoint = {
  readonly generation: number
  readonly step: number
  /** Relative to the checkpoint directory of the nodes; absolute in logs of 0.1.0. */
  readonly path: string
  readonly bytes: number
  readonly digest: string
  readonly registeredMs: number
}

/** A failure of one generation of a gang. */
export type Incident = {
  readonly incidentId: string
  readonly jobId: string
  readonly tenant: string
  readonly gang: number
  readonly generation: number
  readonly occurredMs: number
  readonly detectedMs: number
  readonly evidence: readonly string[]
  readonly progress: IncidentProgress
}

export type IncidentProgress =
  | { readonly at: 'Gathering' }
  | {
      readonly at: 'Decided'
      readonly decision: 'RECOVER' | 'GIVE_UP'
      readonly decidedMs: number
      readonly verdict: Verdict
      readonly charged: boolean
      readonly restartsCharged: number
      readonly resumedFromStep: number
      readonly stepsLost: number
      readonly workLostMs: number
      /** 0 until all tasks of the next generation run. */
      readonly recoveredMs: number
    }
  /** The job ended or was released for another reason first. */
  | { readonly at: 'Dropped'; readonly droppedMs: number; readonly reason: string }

/** Retry rules of a job. */
export type RetryPolicy = {
  readonly restartsMax: number
  readonly userRestartsMax: number
  readonly backoffMs: number
}

/** Used until the mediator's description has arrived: topics have no order between each other. */
export const DEFAULT_RETRY: RetryPolicy = { restartsMax: 3, userRestartsMax: 0, backoffMs: 1_000 }

export type GangState = {
  /** Newest generation seen anywhere. */
  generation: number
  /** Nodes by rank of the newest generation; empty until its placement was seen. */
  nodeOfRank: readonly string[]
  placedMs: number
  releasedThrough: number
  /** Ranks of the newest generation that run or ran. */
  started: Set<number>
  /** Ends in the newest generation, by rank. */
  ends: Map<number, TaskEnd>
  /** Last step any rank reported; −1 = none. */
  progressStep: number
  /** Newest first, at most CHECKPOINTS_KEPT. */
  checkpoints: readonly Checkpoint[]
  restartsCharged: number
  userRestarts: number
  plannedInRow: number
  /** Step of the checkpoint used by the last recovery; −1 = none yet. */
  recoveredStep: number
  /**
   * Incident that is being gathered, was given up, or whose next generation does not run yet: later
   * ends of its generation are evidence, not a new incident.
   */
  openIncident: string | undefined
  /** Of a replica: what its probe found last in the newest generation. */
  readiness?: { readonly ready: boolean; readonly cause: string }
  /** Of a replica: when it became ready first in the newest generation, log time. */
  readyMs?: number
  /** A checkpoint is waited for, before a planned change. */
  notice?: Notice
}

/** A planned change of a gang that waits for a checkpoint. */
export type Notice = {
  readonly id: string
  readonly deadlineMs: number
  readonly cause: string
}

/** What is known of an Inference job as a whole. */
export type ServiceState = {
  readonly startupDeadlineMs: number
  /** A replica was ready at some time. */
  served: boolean
  /** Replicas in a row that failed by themselves before they were ready. */
  startFailures: number
  /** Gangs that are over, the oldest first; the newest of them are remembered. */
  over: number[]
  /** Incidents, the oldest first; the newest of them are kept. */
  incidents: string[]
}

export type JobState = {
  readonly jobId: string
  tenant: string
  name: string
  retry: RetryPolicy
  described: boolean
  ended: boolean
  /** Of an Inference job alone. */
  service?: ServiceState
  readonly gangs: Map<number, GangState>
}

export type NodeView = {
  readonly state: 'Ready' | 'Disconnected' | 'Lost'
  readonly session: string
}

export type FaultState = {
  readonly jobs: Map<string, JobState>
  readonly nodes: Map<string, NodeView>
  /** In the order they were opened. */
  readonly incidents: Map<string, Incident>
  /** Ended jobs, oldest first: the order in which they are forgotten. */
  readonly endedJobs: string[]
}

/** Registered checkpoints kept per gang. */
export const CHECKPOINTS_KEPT = 20
/** Ended jobs whose incidents and checkpoints are kept. */
export const ENDED_JOBS_KEPT = 1_000
/** Replicas of a service that are over and remembered, and incidents of one. */
export const REPLICAS_KEPT = 200
export const SERVICE_INCIDENTS_KEPT = 100
/** Evidence lines per incident. */
export const EVIDENCE_MAX = 50

/** A gang of which nothing is known yet. */
export const emptyGang = (): GangState => ({
  generation: 0,
  nodeOfRank: [],
  placedMs: 0,
  releasedThrough: 0,
  started: new Set(),
  ends: new Map(),
  progressStep: -1,
  checkpoints: [],
  restartsCharged: 0,
  userRestarts: 0,
  plannedInRow: 0,
  recoveredStep: -1,
  openIncident: undefined,
})

/** A service of which nothing has happened yet. */
export const newService = (startupDeadlineMs: number): ServiceState => ({
  startupDeadlineMs,
  served: false,
  startFailures: 0,
  over: [],
  incidents: [],
})
