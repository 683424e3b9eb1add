/** Times and maxima of the autoscaler. */

/** A policy sees no step longer than this: a jump of the clock, or a pause, is no idleness, ms. */
export const GAP_MAX_MS = 5_000
/** A service with nothing to do and as few replicas as it may have rests after this, ms. */
export const REST_MS = 60_000
/** A decision that changes nothing is told at most this often, ms. */
export const TELL_MS = 10_000
/** After an answer that nobody foresaw the scheduler is left alone for this, ms. */
export const REFUSED_MS = 30_000
/** Start-up that is reckoned with until one was measured, ms. */
export const STARTUP_MS = 10_000
/** Requests a second of a replica, thousandths, that are reckoned with before one has ended. */
export const UNKNOWN_CAPACITY_MILLI = 100_000
/** Load of a replica that is aimed at, in percent of what it bears. */
export const SAFE_LOAD_PCT = 75
/** Requests at once for `kpa` and `hpa` of a service that says nothing, thousandths. */
export const TARGET_MILLI = 10_000
/** A request that waits longer than this at the gate is a miss where nobody declared one, us. */
export const WAIT_US = 1_000_000
export const WAIT_MISS_PPM = 10_000

export const TARGETS_MAX = 10_000
/** Targets that are over and can still be asked about. */
export const ENDED_KEPT = 100
export const DECISIONS_KEPT = 30
export const STORY_KEPT = 50
export const CLAUSES_MAX = 4
export const RESTARTS_WEIGHT = 0.5
/** Other jobs that are known to wait: more than none is enough. */
export const WAITING_MAX = 1_000
export const OBJECTIVES_MAX = 500
/** Actions that hold at once: further ones are left out. */
export const ACTIONS_MAX = 1_000
/** Of those that hold for a target, so many are named there. */
export const TARGET_ACTIONS_KEPT = 16

/** Raised when a policy decides otherwise upon the same: older logs keep theirs. */
export const POLICY_VERSION = 1
