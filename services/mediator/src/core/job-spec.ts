/** What the replicas of an Inference job serve, and how. */
export type ServiceSpec = {
  readonly protocol: 'http1' | 'http2' | 'grpc' | 'openai'
  /** Name of each replica's first port. */
  readonly portName: string
  /** Requests of a replica at once; 0 = no limit. */
  readonly concurrency: number
  /** Tokens of a replica at once; 0 = no limit. */
  readonly tokens: number
  readonly affinity: 'none' | 'session'
  /** Class of requests that name none. */
  readonly requestClass: string
  /** Names of objectives. */
  readonly objectives: readonly string[]
  /** Time of a replica that goes for the requests it has. */
  readonly drainMs: number
  /** How replicas are replaced by those of another revision. */
  readonly update: {
    /** Above the wanted number meanwhile. */
    readonly maxSurge: number
    /** Below the wanted number meanwhile. */
    readonly maxUnavailable: number
  }
  readonly replicas: { readonly min: number; readonly max: number; readonly initial: number }
  readonly readiness: {
    /** Path of a GET; empty = a TCP connection. */
    readonly httpGet: string
    readonly periodMs: number
    readonly timeoutMs: number
    readonly failureThreshold: number
    readonly successThreshold: number
    /** A replica that is not ready this long after its start is replaced. */
    readonly startupDeadlineMs: number
  }
  /** How the number of replicas follows the load; absent = the defaults. */
  readonly scaling?: ScalingSpec
  /** The trained model that replicas are given. `path` and `step`: found at the submission. */
  readonly model?: {
    /** Id or name of a job, as written. */
    readonly job: string
    /** Relative to the checkpoint directory of the nodes; empty = not looked for yet. */
    readonly path: string
    readonly step: number
  }
}

/** How the number of replicas follows the load. */
export type ScalingSpec = {
  readonly policy: 'predictive' | 'kpa' | 'hpa'
  /** Without a request for so long it goes to zero, where it may. */
  readonly idleMs: number
  /** Requests at once of a replica, thousandths. */
  readonly targetMilli?: number
  /** Requests a second that a replica surely bears, thousandths. */
  readonly capacityMilli?: number
}

/** How the number of tasks of a Training job may change. */
export type ElasticSpec = {
  readonly minTasks: number
  readonly maxTasks: number
  /** Shortest time between two changes of the size. */
  readonly cooldownMs: number
  /** Time for a checkpoint before a change. */
  readonly noticeMs: number
}

/** A job description after validation: every field set, every amount in one unit. */
export type JobSpec = {
  /** 1 to 63 of a-z, 0-9, `-`. */
  readonly name: string
  /** Queue of the cell. */
  readonly queue: string
  /** Kind of workload; decides the launch contract. */
  readonly type: 'Training' | 'Inference'
  /** Number of tasks of the gang, 1 to 16,384; of an Inference job, of each replica. */
  readonly tasks: number
  /** What each task needs. */
  readonly resources: {
    /** Whole accelerators. */
    readonly devices: number
    /** Models that will do, exact or with a trailing `*`; empty = any. */
    readonly deviceModels: readonly string[]
    readonly cpuMillis: number
    readonly memoryMib: number
  }
  /** Program and arguments. */
  readonly command: readonly string[]
  /** Environment of all ranks. */
  readonly env: Readonly<Record<string, string>>
  /** `sha256:…` of an uploaded archive; empty = none. */
  readonly workspace: string
  /** Ports of rank 0 on its node; the first one is the rendezvous port. */
  readonly ports: number
  /** Work with outside effects: never two generations at once. */
  readonly exclusive: boolean
  readonly retry: {
    /** Restarts in all, charged ones only. */
    readonly maxRestarts: number
    /** Of those, restarts after the program's own errors. */
    readonly onUserError: number
    /** First back-off. */
    readonly backoffMs: number
  }
  /** Time between SIGTERM and SIGKILL. */
  readonly stopGracePeriodMs: number
  /** Wait even if the fleet as it is can never hold the gang. */
  readonly waitForCapacity: boolean
  /** Largest log file of a task before rotation, bytes. */
  readonly logMaxBytes: number
  /** Order inside the queue, higher first. */
  readonly priority: number
  /** Of an Inference job, and of no other. */
  readonly service?: ServiceSpec
  /** Of an elastic Training job. */
  readonly elastic?: ElasticSpec
}
