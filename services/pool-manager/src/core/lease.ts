/**
 * Leases of nodes. The agent counts a lease from its own send time on its own clock; the leader
 * waits on its own clock. Neither reads the other's. Assumed is only that both clocks run within ±4
 * % of real time, so the lease lasts at most lease / 0.96 of real time, and a wait of w lasts at
 * least w / 1.04. After the lease the supervisor needs up to the kill budget to end an exclusive
 * task.
 *
 *     w / 1.04 ≥ lease / 0.96 + budget   ⇐   w = 1.1 × lease + 5 s   for budget ≤ 4.8 s
 */

/** Assumed largest deviation of a clock's rate. */
export const CLOCK_RATE_MAX_FRACTION = 0.04
/**
 * Time a supervisor may take from the lease deadline until the last process of an exclusive task is
 * gone: one turn of its timer and SIGKILL, without grace.
 */
export const KILL_BUDGET_MS = 4_800
/** Shortest and longest lease. */
export const LEASE_MS_RANGE = { min: 1_000, max: 300_000 } as const
export const LEASE_MS_DEFAULT = 15_000

/** Silence after which the leader believes a node lost, ms of the leader's monotonic clock. */
export function lostAfterMs(leaseMs: number): number {
  return leaseMs * 1.1 + 5_000
}

/**
 * Silence after which the node is shown as disconnected and gets no new tasks, ms. Never decides
 * about running tasks.
 */
export function disconnectedAfterMs(leaseMs: number): number {
  return leaseMs * 1.05
}

/** What the leader knows of a node's signs of life. */
export interface LeaseView {
  /** Monotonic time of the last heartbeat or hello received by this leader; undefined = none. */
  readonly lastSignMs: number | undefined
  /** Monotonic time at which this leader's claim was read back. */
  readonly leadingSinceMs: number
  readonly nowMs: number
  readonly leaseMs: number
  /** Longest lease the node may still hold, ms: an earlier leader may have given a longer one. */
  readonly heldLeaseMs?: number
}

/** Time without a sign of life that counts: a silence of the control plane itself does not. */
export function silenceMs(view: LeaseView): number {
  return view.nowMs - Math.max(view.lastSignMs ?? view.leadingSinceMs, view.leadingSinceMs)
}

/** What follows from the silence. */
export function verdict(view: LeaseView): 'alive' | 'disconnected' | 'lost' {
  const silent = silenceMs(view)
  const longestMs = Math.max(view.leaseMs, view.heldLeaseMs ?? 0)
  if (silent >= lostAfterMs(longestMs)) return 'lost'
  return silent >= disconnectedAfterMs(view.leaseMs) ? 'disconnected' : 'alive'
}
