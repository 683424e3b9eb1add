/** Times and maxima of the resource profiler. */

/** A job's profile is told at most once in this time, ms. */
export const TELL_EVERY_MS = 10_000
/** Whether there is something to tell is looked at no more often than this, ms. */
export const LOOK_EVERY_MS = 2_000
/** The longer its newest gang has run the less often: once in this part of that time, */
export const LOOK_AGE_PARTS = 20
/** but at least once in this time, ms. */
export const LOOK_EVERY_MAX_MS = 30_000
/** A service's forecast is told at most once in this time, ms. */
export const FORECAST_EVERY_MS = 60_000
/** With more services than this the time is longer: a forecast takes some 20 ms. */
export const FORECASTS_PER_ROUND = 100
/** What comes together is told together: so long is waited for more, ms. */
export const TELL_AFTER_MS = 500

/** Steps are noted at most so often, ms. */
export const STEP_GAP_MS = 900
/** Points of a task's steps that are kept. */
export const STEPS_KEPT = 64
/** Newest time that an iteration period stands on, where it holds enough iterations, ms. */
export const STEPS_WINDOW_MS = 60_000
/** Iterations and stretches between reports below which no period is told. */
export const ITERATIONS_MIN = 4
export const STRETCHES_MIN = 3
/** A 90 % interval wider than this to either side makes no period, parts of the period. */
export const STEADY_PART = 0.25
/** Without a step for so many periods (and a minute) a period is stale. */
export const STALE_PERIODS = 20

/** The clock of a task is believed when it is within this of the log's, ms. */
export const CLOCK_NEAR_MS = 60_000
/** Clocks of nodes and of the log differ by no more than this where both are well, ms. */
export const CLOCK_SLACK_MS = 5_000

/** A job of which only tasks were heard is over if the scheduler tells nothing of it, ms. */
export const UNTOLD_MS = 60_000

/** Samples from which usage is told, and the time that they have to span, ms. */
export const USAGE_SAMPLES_MIN = 5
/** Advice stands on at least so many samples over so long. */
export const ADVICE_SAMPLES_MIN = 30
export const ADVICE_SPAN_MS = 60_000
/** What was measured longer ago than this is stale while the job runs, ms. */
export const STALE_MS = 120_000
/** Beyond so many samples (a day of one task) older ones fade: all counts are halved. */
export const FADE_SAMPLES = 86_400
/** Points of the memory of a job over time. */
export const TREND_POINTS = 64
/** A trend needs so many points over so long. */
export const TREND_POINTS_MIN = 6
export const TREND_SPAN_MS = 60_000

/** Gangs that are over and are remembered, so that late news of them are none. */
export const RELEASED_KEPT = 200
export const STARTS_KEPT = 64
export const CHECKPOINTS_KEPT = 32
export const STORY_KEPT = 100

/** Length of a bucket of load, ms. */
export const BUCKET_MS = 10_000
/** Buckets that are kept of each series: two hours. */
export const BUCKETS_KEPT = 720
/** Buckets without load that are counted before a service is at rest. */
export const REST_BUCKETS = 30
/** Buckets below which nothing is forecast. */
export const HISTORY_MIN = 12
/** Longest and default horizon, ms. */
export const HORIZON_MAX_MS = 600_000
export const HORIZON_MS = 60_000

export const MAX_JOBS = 10_000
/** Ended jobs whose profile is kept. */
export const ENDED_KEPT = 1_000
export const MAX_GANGS = 1_000
export const MAX_SERVICES = 500
/** Longest name that is kept. */
export const NAME_MAX = 200
