/** Words of the SLA monitor: objectives, what was counted for them, what stands on the counts. */
import { DAY_MS, GRACE_MS, INTERVAL_MS } from './limits.ts'

export * from './limits.ts'

/** What is measured: of requests, or of jobs. */
export type RequestIndicator = 'ttft' | 'tpot' | 'e2e' | 'availability'
export type JobIndicator = 'queue_wait' | 'finish_by'
export type Indicator = RequestIndicator | JobIndicator

export type Severity = 'page' | 'ticket'

export type ActionName = 'alert' | 'scale' | 'shed' | 'migrate' | 'preempt' | 'credit'

/** A rule as it is asked for. `shortMs` 0 = 1/12 of the long window. */
export type RuleWish = {
  readonly severity: Severity
  /** Share of the error budget that burns within the long window, parts per million. */
  readonly budgetPpm: number
  readonly longMs: number
  readonly shortMs: number
}

/** A rule with what it comes to. */
export type BurnRule = RuleWish & {
  /** Evaluation interval: both windows are multiples of it. */
  readonly bucketMs: number
  /** Burn rate at which it alerts, thousandths (rounded; the comparison itself is exact). */
  readonly burnMilli: number
  /** Fewest bad events in the long window for an alert. */
  readonly minBad: number
  /** Bound of false alerts in 100 days, millionths. */
  readonly falseAlertsMicro: number
  /** Fewest events an hour at which a total outage alerts. */
  readonly minRatePerHour: number
  /** From the beginning of a total outage to the alert, ms. */
  readonly outageDetectionMs: number
  /** Probability that the smallest sample alerts at twice the burn rate, millionths. */
  readonly powerMicro: number
}

export type ActionStep = {
  readonly action: ActionName
  readonly severity: Severity
  readonly afterMs: number
  readonly class: string
}

export type Maintenance = {
  readonly fromMs: number
  readonly untilMs: number
  readonly reason: string
}

/** What is promised: fixed from the declaration on, because a ledger stands on it. */
export type ObjectivePromise = {
  readonly name: string
  /** Empty = all tenants. */
  readonly tenant: string
  readonly indicator: Indicator
  /** Job id or name; empty = all. */
  readonly service: string
  /** Class of requests; empty = all. */
  readonly class: string
  /** Queue of jobs; empty = all. */
  readonly queue: string
  readonly targetPpm: number
  /** 0 for availability. */
  readonly thresholdUs: number
  readonly windowMs: number
  readonly excludeShed: boolean
  readonly countCallerErrors: boolean
}

/** How it is watched: may change. */
export type ObjectiveWatch<Rule extends RuleWish = BurnRule> = {
  readonly minSample: number
  /** 0 = not known. */
  readonly expectedPerHour: number
  readonly rules: readonly Rule[]
  readonly actions: readonly ActionStep[]
  readonly maintenance: readonly Maintenance[]
}

/** An objective as it is asked for. */
export type ObjectiveWish = ObjectivePromise & ObjectiveWatch<RuleWish>

export type Objective = ObjectivePromise &
  ObjectiveWatch & {
    readonly objectiveId: string
    readonly version: number
    readonly createdMs: number
  }

/** Numbers of events. */
export type Counts = {
  readonly good: number
  readonly bad: number
  readonly excluded: number
  readonly unknown: number
  readonly late: number
}

/** Counts by buckets of equal length, the newest `good.length` of them. */
export type Ring = {
  readonly bucketMs: number
  /** Number of the newest bucket since 1970; -1 = empty. */
  head: number
  readonly good: Float64Array
  readonly bad: Float64Array
}

/** An alert of a rule that lasts. */
export type Breach = {
  readonly breachId: string
  readonly objectiveId: string
  readonly rule: BurnRule
  /** End of the windows in which it was found. */
  readonly fromMs: number
  readonly long: WindowCounts
  readonly short: WindowCounts
  readonly firstCount: number
  readonly lastCount: number
}

export type WindowCounts = { readonly events: number; readonly bad: number }

/** Why a breach is over. */
export type BreachEnd = 'CALM' | 'RULE_CHANGED' | 'OBJECTIVE_DELETED'

/** An action of the ladder that holds. */
export type RequestedAction = {
  readonly actionId: string
  readonly objectiveId: string
  readonly step: number
  readonly breachId: string
  readonly atMs: number
}

/** A closed day of a tenant. */
export type Statement = {
  readonly objectiveId: string
  readonly tenant: string
  readonly number: number
  readonly dayMs: number
  readonly counts: Counts
  readonly targetPpm: number
  readonly throughCount: number
  readonly lostBatchesTotal: number
  readonly closedMs: number
  readonly previousHash: string
  readonly hash: string
}

/** The account of a tenant with an objective. */
export type Ledger = {
  /** Begin of the day → what was counted in it so far. */
  readonly open: Map<number, { counts: Counts; throughCount: number }>
  /** Newest last, at most STATEMENTS_KEPT. */
  statements: readonly Statement[]
  /** Statements so far. */
  number: number
  hash: string
}

/** What happened to an objective, for people. */
export type StoryLine = {
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

export type ObjectiveState = {
  objective: Objective
  /** One for each rule. */
  rings: readonly Ring[]
  /** Of the window of the budget. */
  readonly budget: Ring
  /** Excluded, unknown and late ones since the beginning. */
  aside: Omit<Counts, 'good' | 'bad'>
  /** By the index of its rule. */
  readonly breaches: Map<number, Breach>
  /** By the index of its step. */
  readonly actions: Map<number, RequestedAction>
  /** Actions asked for so far. */
  actionNumber: number
  readonly ledgers: Map<string, Ledger>
  story: readonly StoryLine[]
}

export type SourceHealth = 'OK' | 'SILENT' | 'FROZEN' | 'SKEWED'

/** Marks of one boot: which of its batches are counted. */
export type BootMarks = {
  readonly bootId: string
  readonly highest: number
  /** Numbers below the highest that have not come, as ranges, ascending. */
  readonly missing: readonly (readonly [from: number, to: number])[]
  /** Numbers from before it was heard: taken when they come, not missed when they do not. */
  readonly early: readonly (readonly [from: number, to: number])[]
}

/** A source of measurements. */
export type SourceState = {
  readonly source: string
  /** Newest first, at most BOOTS_KEPT. */
  readonly boots: readonly BootMarks[]
  readonly health: SourceHealth
  /** It held requests when it was heard last. */
  readonly busy: boolean
  readonly heardMs: number
  /** Newest sample, wall clock of the source. */
  readonly newestMs: number
  /** Log time at which the newest sample got newer. */
  readonly advancedMs: number
  readonly offsetMs: number
  readonly batches: number
  readonly lost: number
  readonly dropped: number
  readonly rejected: number
  readonly future: number
  readonly late: number
}

/** A job that objectives hold for, from its submission to its end. */
export type JobView = {
  readonly jobId: string
  readonly tenant: string
  readonly submittedMs: number
  /** Objective → threshold, ms; removed when judged. */
  readonly pending: ReadonlyMap<string, number>
}

export type SlaState = {
  readonly objectives: Map<string, ObjectiveState>
  readonly sources: Map<string, SourceState>
  readonly jobs: Map<string, JobView>
  /** Job id → name of services and jobs that run, so that objectives may name them. */
  readonly names: Map<string, string>
  /** Counts so far. */
  count: number
  /** First count of each minute with any, ascending: where the evidence of a window begins. */
  readonly marks: { readonly minute: number; readonly count: number }[]
  /** Log time since which requests are counted without a pause; 0 = they are not. */
  intakeSinceMs: number
  /** Batches lost by sources that are forgotten. */
  lostForgotten: number
  /** Log time of the last event. */
  lastMs: number
}

export const NO_HASH = '0'.repeat(64)

export const ZERO: Counts = { good: 0, bad: 0, excluded: 0, unknown: 0, late: 0 }

export const plus = (a: Counts, b: Counts): Counts => ({
  good: a.good + b.good,
  bad: a.bad + b.bad,
  excluded: a.excluded + b.excluded,
  unknown: a.unknown + b.unknown,
  late: a.late + b.late,
})

export const isJobIndicator = (indicator: Indicator): indicator is JobIndicator =>
  indicator === 'queue_wait' || indicator === 'finish_by'

/** Begin of the day (UTC) of a time. */
export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS
/** Begin of the evaluation interval of a time. */
export const intervalOf = (ms: number): number => Math.floor(ms / INTERVAL_MS) * INTERVAL_MS
/** What ended before this is late. */
export const openFrom = (atMs: number): number => intervalOf(atMs - GRACE_MS)
