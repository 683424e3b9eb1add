import type {
  Breach,
  BreachEnd,
  Objective,
  ObjectiveWish,
  RequestedAction,
  SourceHealth,
  SourceState,
  Statement,
} from './model.ts'

/** A request that came to its end, with what matters here. Absent = not known. */
export type RequestFact = {
  readonly jobId: string
  readonly tenant: string
  readonly class: string
  readonly outcome: 'ok' | 'caller' | 'failed' | 'shed' | 'deadline' | 'cancelled'
  /** When it ended, wall clock of the source, ms. */
  readonly atMs: number
  readonly ttftUs?: number
  readonly tpotUs?: number
  readonly e2eUs: number
}

/** A batch of measurements, looked through. */
export type BatchFacts = {
  readonly source: string
  readonly bootId: string
  readonly seq: number
  /** Wall clock of the source, ms. */
  readonly sentMs: number
  /** Newest sample, wall clock of the source, ms. */
  readonly newestMs: number
  /** Samples dropped by the source since its boot. */
  readonly dropped: number
  /** Impossible samples. */
  readonly rejected: number
  /** It holds requests; undefined = it did not say. */
  readonly busy: boolean | undefined
  readonly requests: readonly RequestFact[]
}

/** A job changed its state. */
export type JobFact = {
  readonly jobId: string
  readonly tenant: string
  readonly queue: string
  readonly name: string
  /** It serves until somebody ends it: it has no end to be in time. */
  readonly serves: boolean
  readonly state: string
  /** Log time at which it was queued, ms; 0 = not known. */
  readonly queuedMs: number
  /** Code of the end of a failed job. */
  readonly code: string
  readonly atMs: number
}

/** `caller`: tenant; empty = an operator. */
export type SlaCommand =
  | {
      readonly type: 'CreateObjective'
      readonly caller: string
      readonly wish: ObjectiveWish
    }
  | {
      readonly type: 'UpdateObjective'
      readonly caller: string
      readonly objectiveId: string
      readonly version: number
      readonly wish: ObjectiveWish
    }
  | { readonly type: 'DeleteObjective'; readonly caller: string; readonly objectiveId: string }
  | { readonly type: 'CountBatches'; readonly batches: readonly BatchFacts[] }
  | { readonly type: 'NoteJob'; readonly job: JobFact }
  | { readonly type: 'NameService'; readonly jobId: string; readonly name: string }
  /** It ended; its name is known for as long as its requests may still be counted. */
  | { readonly type: 'ForgetService'; readonly jobId: string }
  | { readonly type: 'DropName'; readonly jobId: string }
  | { readonly type: 'Evaluate' }
  | { readonly type: 'CloseDay'; readonly dayMs: number }
  | { readonly type: 'JudgeJob'; readonly jobId: string }
  | { readonly type: 'TakeStep'; readonly objectiveId: string; readonly step: number }
  | { readonly type: 'CheckSource'; readonly source: string; readonly sure: boolean }
  /** A source is told anew as a whole: everything in it, in order. */
  | {
      readonly type: 'ReplaceSource'
      readonly source: string
      readonly commands: readonly SlaInput[]
    }

/** What other services tell. */
export type SlaInput = Extract<SlaCommand, { type: 'NoteJob' | 'NameService' | 'ForgetService' }>

/** What was added to an interval of an objective for a tenant. */
export type CountRow = readonly [
  objectiveId: string,
  tenant: string,
  startMs: number,
  good: number,
  bad: number,
  excluded: number,
  unknown: number,
  late: number,
]

/** Batches `first` to `last` of a boot. */
export type CountedRange = readonly [source: string, bootId: string, first: number, last: number]

export type SlaEvent =
  | { readonly type: 'ObjectiveDeclared'; readonly objective: Objective }
  | { readonly type: 'ObjectiveUpdated'; readonly objective: Objective }
  | { readonly type: 'ObjectiveDeleted'; readonly objective: Objective }
  | {
      readonly type: 'OutcomesCounted'
      readonly number: number
      readonly batches: readonly CountedRange[]
      readonly rows: readonly CountRow[]
      /** The sources as they are now. */
      readonly sources: readonly SourceState[]
      readonly openFromMs: number
      readonly futureFromMs: number
      readonly late: number
      readonly future: number
      readonly rejected: number
      readonly lostTotal: number
    }
  | {
      readonly type: 'JobOutcomesCounted'
      readonly number: number
      readonly jobId: string
      readonly rows: readonly CountRow[]
      /** Objectives that wait for it no longer. */
      readonly judged: readonly string[]
    }
  /** It is over: nothing more will be told of it. */
  | { readonly type: 'JobEnded'; readonly jobId: string }
  | {
      readonly type: 'JobTracked'
      readonly jobId: string
      readonly tenant: string
      readonly submittedMs: number
      readonly pending: readonly (readonly [objectiveId: string, thresholdMs: number])[]
    }
  /** Its deadline passed while the log was quiet: the scheduler's word is awaited once more. */
  | { readonly type: 'JobOverdue'; readonly jobId: string }
  | { readonly type: 'ServiceNamed'; readonly jobId: string; readonly name: string }
  | { readonly type: 'ServiceForgotten'; readonly jobId: string }
  | { readonly type: 'SourceJudged'; readonly source: string; readonly health: SourceHealth }
  | { readonly type: 'SourceForgotten'; readonly source: string }
  /** The log goes on after a silence: nothing ends on windows that nobody filled. */
  | { readonly type: 'EvaluationResumed'; readonly quietMs: number }
  | { readonly type: 'BreachOpened'; readonly rule: number; readonly breach: Breach }
  | {
      readonly type: 'BreachClosed'
      readonly rule: number
      readonly breach: Breach
      readonly untilMs: number
      readonly cause: BreachEnd
    }
  | { readonly type: 'ActionRequested'; readonly action: RequestedAction }
  | { readonly type: 'ActionWithdrawn'; readonly action: RequestedAction }
  | { readonly type: 'StatementClosed'; readonly statement: Statement }

/** Keys of the timers. */
export const EVALUATE_TIMER = 'evaluate'
export const dayTimer = (dayMs: number): string => `day:${dayMs}`
export const jobTimer = (jobId: string): string => `job:${jobId}`
export const stepTimer = (objectiveId: string, step: number): string =>
  `step:${objectiveId}:${step}`
export const nameTimer = (jobId: string): string => `name:${jobId}`
export const silenceTimer = (source: string): string => `silence:${source}`
export const silentTimer = (source: string): string => `silent:${source}`

const rest = (key: string): string => key.slice(key.indexOf(':') + 1)

/** The command of a due timer. */
export function commandOfTimer(key: string): SlaCommand {
  const kind = key.split(':', 1)[0]
  switch (kind) {
    case 'day':
      return { type: 'CloseDay', dayMs: Number(rest(key)) }
    case 'job':
      return { type: 'JudgeJob', jobId: rest(key) }
    case 'name':
      return { type: 'DropName', jobId: rest(key) }
    case 'silence':
      return { type: 'CheckSource', source: rest(key), sure: false }
    case 'silent':
      return { type: 'CheckSource', source: rest(key), sure: true }
    case 'step': {
      const [objectiveId = '', step = ''] = rest(key).split(':')
      return { type: 'TakeStep', objectiveId, step: Number(step) }
    }
    default:
      return { type: 'Evaluate' }
  }
}
