import type {
  ActionScope,
  ForecastView,
  Holding,
  Mode,
  NodeView,
  ObjectiveView,
  ScaleDecision,
  ScaleView,
  ServiceFacts,
} from './model.ts'

/** Numbers of a gauge and their age, ms. Absent where nothing is known. */
export type Gauge = readonly [value: number, ageMs: number]

/**
 * What gates told of a service since the last step: a line of the log, so kept short. What is
 * impossible comes as it is; the policy leaves it out and says so.
 */
export type Signals = {
  readonly jobId: string
  /** Requests that arrived. */
  readonly came?: Gauge
  /** In so long, ms; absent = in a step. */
  readonly spanMs?: number
  /** Requests that are held. */
  readonly held?: Gauge
  /** Requests inside replicas. */
  readonly inside?: Gauge
  /** Requests that ended, their output tokens, and how many missed each clause. */
  readonly ended?: {
    readonly finished: number
    readonly outputTokens: number
    readonly missed: readonly number[]
    /** How many a replica answered in full; absent = all, as older steps have it. */
    readonly served?: number
    /** They ended within so long, ms; absent = within the step. */
    readonly spanMs?: number
    /** Time at replicas, sum over those, microseconds. */
    readonly serviceUs: number
    readonly ageMs: number
  }
  /**
   * Before this nothing was told for so long, ms, by a clock without jumps: gates had nothing to
   * do, and none that had was silent. Absent = it cannot be said.
   */
  readonly restMs?: number
  /** Gates that held requests at their last word. */
  readonly busy: readonly string[]
  /** How many of them have said nothing for too long while others go on. */
  readonly silent?: number
}

/** What the scheduler made of a decision. */
export type ResizeOutcome =
  | { readonly at: 'Taken'; readonly scale: ScaleView; readonly waiting: string }
  | { readonly at: 'Refused'; readonly code: string; readonly numbers: Record<string, number> }

/** A job as the scheduler tells it. */
export type JobFact = {
  readonly jobId: string
  readonly tenant: string
  readonly queue: string
  readonly name: string
  readonly state: string
  readonly generation: number
  /** Code of what it waits for; empty = nothing. */
  readonly waiting: string
  readonly scale?: ScaleView
}

export type AutoscalerInput =
  | { readonly type: 'NoteJob'; readonly job: JobFact }
  | {
      readonly type: 'DeclareService'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly service: ServiceFacts
    }
  | { readonly type: 'EndService'; readonly jobId: string }
  | { readonly type: 'NoteQueue'; readonly queue: string; readonly devicesMax: number }
  | { readonly type: 'NotePlaced'; readonly holding: Holding }
  | {
      readonly type: 'NoteReleased'
      readonly jobId: string
      readonly gang: number
      readonly through: number
    }
  | { readonly type: 'NoteResizing'; readonly jobId: string; readonly generation: number }
  | { readonly type: 'NoteNode'; readonly nodeId: string; readonly node: NodeView }
  | {
      readonly type: 'NoteObjective'
      readonly objectiveId: string
      readonly objective?: ObjectiveView
    }
  /** Without a forecast: none is known. */
  | { readonly type: 'NoteForecast'; readonly jobId: string; readonly forecast?: ForecastView }
  | {
      readonly type: 'NoteAction'
      readonly actionId: string
      readonly objectiveId: string
      /** Empty = all. */
      readonly tenant: string
      /** Job id or name; empty = all that the objective is for. */
      readonly service: string
      readonly holds: boolean
    }

export type AutoscalerCommand =
  | AutoscalerInput
  /** Time for decisions upon what was measured. */
  | {
      readonly type: 'Step'
      readonly rows: readonly Signals[]
      readonly stepMs: number
      readonly giveBackAfterMs: number
      readonly longestMs?: number
    }
  | {
      readonly type: 'SettleResize'
      readonly jobId: string
      readonly decisionId: string
      readonly outcome: ResizeOutcome
    }
  | { readonly type: 'SetMode'; readonly jobId: string; readonly mode: Mode }
  /** A source is told anew as a whole: everything in it, in order. */
  | {
      readonly type: 'ReplaceSource'
      readonly source: string
      readonly commands: readonly AutoscalerInput[]
    }

/** A step as it is recorded: decisions follow from it and from the state. */
export type Stepped = {
  readonly type: 'Stepped'
  readonly rows: readonly Signals[]
  readonly stepMs: number
  readonly giveBackAfterMs: number
  /** No request takes longer, ms; absent = 600 s, as older steps were decided. */
  readonly longestMs?: number
}

export type AutoscalerEvent =
  /** `first`: it is a target from now on. */
  | { readonly type: 'JobNoted'; readonly job: JobFact; readonly first: boolean }
  /** Of a job that is no target: its queue, or that it waits; both empty: it does neither. */
  | {
      readonly type: 'OtherJobNoted'
      readonly jobId: string
      readonly queue: string
      readonly waits: boolean
    }
  | {
      readonly type: 'ServiceNoted'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly service: ServiceFacts
    }
  | { readonly type: 'TargetEnded'; readonly jobId: string; readonly tenant: string }
  | { readonly type: 'QueueNoted'; readonly queue: string; readonly devicesMax: number }
  | { readonly type: 'GangHeld'; readonly holding: Holding }
  /** All generations of a gang up to this one are over. */
  | {
      readonly type: 'GangOver'
      readonly jobId: string
      readonly gang: number
      readonly through: number
    }
  | { readonly type: 'HoldingForgotten'; readonly key: string }
  | { readonly type: 'ForecastNoted'; readonly jobId: string; readonly forecast?: ForecastView }
  | { readonly type: 'ResizeBegan'; readonly jobId: string; readonly generation: number }
  | { readonly type: 'NodeNoted'; readonly nodeId: string; readonly node: NodeView }
  | { readonly type: 'NodeForgotten'; readonly nodeId: string }
  | {
      readonly type: 'ObjectiveNoted'
      readonly objectiveId: string
      readonly objective: ObjectiveView
    }
  | { readonly type: 'ObjectiveForgotten'; readonly objectiveId: string }
  /** For every target in its scope, and for those that come into it while it holds. */
  | { readonly type: 'ActionHeld'; readonly actionId: string; readonly scope: ActionScope }
  | { readonly type: 'ActionOver'; readonly actionId: string }
  /** What logs of before `ActionHeld` have in its place: for one target. */
  | {
      readonly type: 'UrgencyChanged'
      readonly jobId: string
      readonly actionIds: readonly string[]
    }
  | Stepped
  | { readonly type: 'ScaleDecided'; readonly jobId: string; readonly decision: ScaleDecision }
  | {
      readonly type: 'ResizeSettled'
      readonly jobId: string
      readonly decisionId: string
      readonly outcome: ResizeOutcome
    }
  | { readonly type: 'ModeSet'; readonly jobId: string; readonly mode: Mode }

/** Key of the effect that asks the scheduler. */
export const resizeKey = (jobId: string): string => `resize:${jobId}`
