/** What is simulated: how large a world, what its users do, what goes wrong in it. */

/** Kinds of faults: whom they hit. */
const FAULTS = {
  /** A control-plane process dies and is started again. */
  kill: 'services',
  /** It dies at one of its next operations of a port: at any await. */
  'crash-at-await': 'services',
  /** It is ended in order (SIGTERM) and started again, as in a rolling update. */
  restart: 'services',
  /** It stands still, and goes on later as if nothing had been. */
  pause: 'services',
  /** Its machine loses power: what was not synced is lost or torn. */
  'power-off': 'services',
  /** It cannot reach another process, or that one it. */
  partition: 'services',
  /** It cannot reach the log. */
  'log-partition': 'services',
  /** Its appends are lost, unknown, late or doubled. */
  'log-storm': 'services',
  /** Its appends take up to 1.5 s. */
  'slow-log': 'services',
  /** The log refuses its appends: no space. */
  'log-full': 'services',
  /** The store for snapshots is slow, full and fails for it. */
  'bad-disk': 'services',
  /** Calls are delayed, lost, doubled, reordered; streams are reset. */
  'network-storm': 'both',
  /** The wall clock of a machine jumps. */
  'clock-jump': 'both',
  /** The clock of a machine runs up to 4 % fast or slow. */
  'clock-drift': 'both',
  /** The agent of a node dies. */
  'agent-kill': 'nodes',
  /** The agent of a node hangs: its stream is up, it says nothing. */
  'agent-hang': 'nodes',
  /** The streams of a node break again and again. */
  'agent-flap': 'nodes',
  /** The supervisor of a node dies, its tasks with it. */
  'supervisor-kill': 'nodes',
  /** The machine of a node loses power and comes back. */
  'node-power': 'nodes',
  /** A node reaches no pool manager. */
  'node-partition': 'nodes',
  /** The disk of a node is slow, full and fails. */
  'node-disk': 'nodes',
  /** All replicas of a service are away, for 1.5 to 4 minutes. */
  'service-away': 'services',
  /** A desired set of long ago comes to the supervisor of a node once more. */
  'late-desired': 'nodes',
  /**
   * What it reads of its log is no log, for ever: its partition stops, and the others go on without
   * it. One replica of a service at most.
   */
  'log-damaged': 'services',
} as const satisfies Readonly<Record<string, 'services' | 'nodes' | 'both'>>
export type FaultKind = keyof typeof FAULTS

/** All kinds. */
export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[]

/** True for a fault of nodes alone: no replica of a service notices. */
export const isOfNodes = (fault: string): boolean => FAULTS[fault as FaultKind] === 'nodes'

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
