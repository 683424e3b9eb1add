/** What stands in the world besides the control plane: nodes and users. */
import type { Observation } from '../check/types.ts'
import type { SimProcess, World } from '../world/types.ts'

/** A simulated node: real agent and real rules of the supervisor, simulated processes. */
export interface SimNode {
  readonly name: string
  readonly agent: SimProcess
  readonly supervisor: SimProcess
  /** The agent hangs: its stream stays up, it says and does nothing. */
  hang(): void
  /** Power off, and on again after `ms`. `tornShare`: see `Machine.powerOff`. */
  powerCycle(ms: number, tornShare?: number): void
  /** A desired set comes to the supervisor once more, `back` sets after it was handed on. */
  lateDesired(back: number): void
  /** Tasks that really run now. */
  running(): number
}

/** How simulated nodes are made. */
export interface SimNodeInit {
  readonly world: World
  readonly name: string
  readonly devices: number
  readonly model: string
  /** Addresses of the pool manager's replicas, `host:port,host:port`. */
  readonly poolAddress: string
  readonly token: string
  /** Lease that the pool manager gives, ms. */
  readonly leaseMs: number
  readonly observe: (observation: Observation) => void
  /** What a task does; see {@link TaskScript}. */
  readonly scripts: TaskScripts
}

/**
 * What a simulated task does, told by its command line: `["sim", "--seconds", "40",
 * "--checkpoint-every", "10", …]`. It runs, reports progress and checkpoints into its report,
 * resumes from `SAI_RESUME_FROM`, and ends.
 */
export interface TaskScript {
  /** Virtual seconds of work from step 0. One step is one second. */
  readonly seconds: number
  /** A checkpoint line (rank 0) every so many steps; 0 = never. */
  readonly checkpointEvery: number
  /** Chance per step that the process ends with exit code 1. */
  readonly failShare: number
  /** Ignores SIGTERM until it is killed. */
  readonly stubborn: boolean
  readonly exitCode: number
}

/** Reads a command line; undefined = not a simulated task (START_FAILED). */
export type TaskScripts = (command: readonly string[]) => TaskScript | undefined
