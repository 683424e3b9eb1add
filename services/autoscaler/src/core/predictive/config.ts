/** What work a request is, in units of the owner's choice; whole numbers. */
export interface WorkUnits {
  readonly perRequest: number
  readonly perInputToken: number
  /** Output is not known on arrival: the mean of those that ended counts. */
  readonly perOutputToken: number
}

/** Settings of the predictive policy. */
export interface PredictiveConfig {
  readonly work: WorkUnits
  /**
   * Load of one replica, in work a second, at which the objective surely holds: the safe default
   * until loads have been seen.
   */
  readonly safeWorkPerS: number
  /** By clause of the objective: the share of requests that may miss it, in millionths. */
  readonly allowedMissPpm: readonly number[]
  /** Start-up time that is assumed until start-ups were measured, in milliseconds. */
  readonly startupMs: number
  /** One step; also the grain of the history. */
  readonly stepMs?: number
  /** How far back demand is remembered. */
  readonly historyMs?: number
  /** No shrinking, and no other rule than the safe one, before so much of it is known. */
  readonly minHistoryMs?: number
  /** Between two choices of the rule. */
  readonly retuneMs?: number
  /** Readings that are older are unknown. */
  readonly maxAgeMs?: number
  /** Without any request for so long a service with floor 0 goes to zero. */
  readonly idleMs?: number
  /**
   * No request takes longer, ms: a gauge of requests in flight that stays up for longer after the
   * last one came is wrong.
   */
  readonly longestMs?: number
  /** Requests that are held beside an idle replica for so long are a fault of the gauge. */
  readonly distrustMs?: number
}

/** The settings with their defaults. */
export type FullConfig = Required<PredictiveConfig>

export function withDefaults(config: PredictiveConfig): FullConfig {
  return {
    stepMs: 2_000,
    historyMs: 1_800_000,
    minHistoryMs: 240_000,
    retuneMs: 60_000,
    maxAgeMs: 10_000,
    idleMs: 60_000,
    longestMs: 600_000,
    distrustMs: 30_000,
    ...config,
  }
}
