/** Times and maxima of the SLA monitor. */

/** Evaluation interval of the platform, ms. */
export const INTERVAL_MS = 5_000
/** Late data within this goes to its interval, ms. */
export const GRACE_MS = 60_000
/** Samples further ahead than this are from the future, ms. */
export const FUTURE_MS = 5_000
/** Wait after the end of an interval, ms: senders gather for 0.25 s, the intake for 1 s. */
export const SETTLE_MS = 1_500
/** A source that held requests and says nothing for this is silent, ms. */
export const SILENT_MS = 15_000
/** A source that is silent for this is forgotten, ms. */
export const FORGET_MS = 600_000
/** The scheduler's word about a job is waited for so long after the job's deadline, ms. */
export const JOB_GRACE_MS = 5_000
/** A log that was quiet for this may have missed inputs that are read right now, ms. */
export const QUIET_MS = 10_000

export const DAY_MS = 86_400_000
export const MINUTE_MS = 60_000

/** Buckets of the longest window of a ring. */
export const BUCKETS = 720
/** More buckets, for what is counted ahead of an evaluation. */
export const SPARE_BUCKETS = 16

export const MAX_OBJECTIVES = 500
export const MAX_RULES = 8
export const MAX_STEPS = 16
export const MAX_MAINTENANCE = 64
export const MAX_SOURCES = 1_000
export const MAX_JOBS = 100_000
export const MAX_NAMES = 100_000
/** Tenants with a ledger of their own in one objective; the rest is `OTHER_TENANTS`. */
export const MAX_LEDGERS = 1_000
export const OTHER_TENANTS = '*'
export const STATEMENTS_KEPT = 100
export const STORY_KEPT = 200
export const BOOTS_KEPT = 8
/** Minutes whose first count is known: a day and a half. */
export const MARKS_KEPT = 2_160
/** Numbers below the highest one that may still come; older ones are lost. */
export const LATE_BATCHES = 1_024
