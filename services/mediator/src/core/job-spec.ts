/** A job description after validation: every field set, every amount in one unit. */
export type JobSpec = {
  /** 1 to 63 of a-z, 0-9, `-`. */
  readonly name: string
  /** Queue of the cell. */
  readonly queue: string
  /** Kind of workload; decides the launch contract. */
  readonly type: 'Training'
  /** Number of tasks of the gang, 1 to 16,384. */
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
}
