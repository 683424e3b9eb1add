/** What is simulated: how large a world, what its users do, what goes wrong in it. */

/** Kinds of faults, with what they hit. */
export const FAULT_KINDS = [
  /** A control-plane process dies and is started again. */
  'kill',
  /** It dies at one of its next operations of a port: at any await. */
  'crash-at-await',
  /** It is ended in order (SIGTERM) and started again, as in a rolling update. */
  'restart',
  /** It stands still, and goes on later as if nothing had been. */
  'pause',
  /** Its machine loses power: what was not synced is lost or torn. */
  'power-off',
  /** It cannot reach another process, or that one it. */
  'partition',
  /** It cannot reach the log. */
  'log-partition',
  /** Its appends are lost, unknown, late or doubled. */
  'log-storm',
  /** Its appends take up to 1.5 s. */
  'slow-log',
  /** The log refuses its appends: no space. */
  'log-full',
  /** The store for snapshots is slow, full and fails for it. */
  'bad-disk',
  /** Calls are delayed, lost, doubled, reordered; streams are reset. */
  'network-storm',
  /** The wall clock of a machine jumps. */
  'clock-jump',
  /** The clock of a machine runs up to 4 % fast or slow. */
  'clock-drift',
  /** The agent of a node dies. */
  'agent-kill',
  /** The agent of a node hangs: its stream is up, it says nothing. */
  'agent-hang',
  /** The streams of a node break again and again. */
  'agent-flap',
  /** The supervisor of a node dies, its tasks with it. */
  'supervisor-kill',
  /** The machine of a node loses power and comes back. */
  'node-power',
  /** A node reaches no pool manager. */
  'node-partition',
  /** The disk of a node is slow, full and fails. */
  'node-disk',
  /** All replicas of a service are away, for 1.5 to 4 minutes. */
  'service-away',
  /** A desired set of long ago comes to the supervisor of a node once more. */
  'late-desired',
  /**
   * What it reads of its log is no log, for ever: its partition stops, and the others go on without
   * it. One replica of a service at most.
   */
  'log-damaged',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** Mean time between two faults of a kind in the whole world, ms. Absent = never. */
export type FaultMix = Readonly<Partial<Record<FaultKind, number>>>

/** One world to simulate. */
export interface Scenario {
  readonly name: string
  /** One line. */
  readonly about: string
  /** Replicas of each service. */
  readonly replicas: number
  readonly nodes: number
  readonly devicesPerNode: number
  /** Lease of a node, ms. */
  readonly leaseMs: number
  readonly jobs: number
  /** Jobs come and faults begin during this time, ms. */
  readonly busyMs: number
  /** Longest time until all is in order again afterwards, ms. */
  readonly settleMs: number
  /** Typical time of an append to the log, ms. */
  readonly appendMs: readonly [number, number]
  /** A snapshot after so many commits. */
  readonly snapshotEveryCommits: number
  /** How long the past is kept, ms; 0 = for ever. */
  readonly retentionMs: number
  readonly faults: FaultMix
}
