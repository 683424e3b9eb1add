/**
 * What checkers see and say. They know nothing of the product's own state: only the log, the public
 * events, what users were answered and what really ran on the nodes.
 */
import type { Landed } from '../world/types.ts'

/** (job, gang, generation, rank). */
export interface TaskKey {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly rank: number
}

/** Something that happened, as an outsider saw it. */
export type Observation =
  | { readonly kind: 'landed'; readonly record: Landed }
  /** A process really began on a node. */
  | {
      readonly kind: 'task-started'
      readonly atMs: number
      readonly node: string
      readonly key: TaskKey
      /** Indexes of the devices it was given. */
      readonly devices: readonly number[]
      readonly exclusive: boolean
    }
  | {
      readonly kind: 'task-ended'
      readonly atMs: number
      readonly node: string
      readonly key: TaskKey
      readonly cause: string
    }
  /** An agent was answered a heartbeat: its node may start tasks and keep exclusive ones. */
  | {
      readonly kind: 'lease-renewed'
      readonly atMs: number
      readonly node: string
      /** Epoch of the leader that answered, from the newest desired set on the same stream. */
      readonly epoch: number
      /** When the agent had sent the heartbeat, at the earliest. */
      readonly sentMs: number
    }
  /**
   * A user got an answer. `ok` false = refused with `reason`, which is final: outcomes that are not
   * known, and calls that have to be repeated, are no answers. `position` empty = none was given.
   * `reuse` = another submission under the id of one that was answered.
   */
  | {
      readonly kind: 'answered'
      readonly atMs: number
      readonly requestId: string
      readonly call: 'submit' | 'cancel' | 'queue' | 'reuse'
      readonly jobId: string
      readonly ok: boolean
      readonly reason: string
      readonly position: string
    }
  /**
   * A user read a job's state with the position of an earlier answer (empty = without one). `state`
   * as `Queued` or `STATE_QUEUED`; empty = not told.
   */
  | {
      readonly kind: 'read'
      readonly atMs: number
      readonly jobId: string
      readonly found: boolean
      readonly state: string
      readonly minPosition: string
    }
  /** A message of a watch: the state that its user was shown, in the order of one `watch`. */
  | {
      readonly kind: 'watched'
      readonly atMs: number
      readonly jobId: string
      /** Name of the watch; a new one begins anew. */
      readonly watch: string
      readonly state: string
    }
  /**
   * A replica began or ceased to believe that it leads; `epoch` is the one it means. Who dies does
   * not have to say that it ceased.
   */
  | {
      readonly kind: 'leading'
      readonly atMs: number
      readonly process: string
      readonly service: string
      readonly epoch: number
      readonly leads: boolean
    }
  /**
   * Effective state of a replica after the record at `position` of its log: the digest that it
   * would log as `StateDigest` there. Not while a commit of its own is in flight.
   */
  | {
      readonly kind: 'digest'
      readonly atMs: number
      readonly process: string
      readonly service: string
      readonly position: number
      readonly digest: string
    }
  /**
   * A fault of a kind began or ended. `target` = process, `process/process` for a link, machine,
   * node, or `network`.
   */
  | {
      readonly kind: 'fault'
      readonly atMs: number
      readonly fault: string
      readonly target: string
      readonly begins: boolean
    }
  /** All faults are over and the settling time has passed: everything must be in order now. */
  | { readonly kind: 'settled'; readonly atMs: number }

/** A promise that does not hold. */
export interface Alarm {
  readonly checker: string
  readonly atMs: number
  /** What was promised, what was seen, with names and numbers; a few lines at most. */
  readonly message: string
  /** Job, node or service it is about, to filter the trace. */
  readonly about: string
}
