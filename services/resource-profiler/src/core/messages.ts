import type { Digest } from './histogram.ts'
import type { BurstFinding, PerTask } from './model.ts'

/** Which gang. */
export type GangKey = {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
}

/** A gang's placement. */
export type PlacedFact = GangKey & {
  readonly tenant: string
  readonly nodeOfRank: readonly string[]
  readonly devices: readonly number[]
  readonly perTask: PerTask
}

/** What was measured of a quantity. */
export type Measured = { readonly digest: Digest; readonly source: string }

/** Use of a task over a stretch of time, by the wall clock of its node. */
export type TaskUsage = GangKey & {
  readonly rank: number
  readonly nodeId: string
  readonly fromMs: number
  readonly toMs: number
  /** Thousandths of a core. */
  readonly cpu?: Measured
  /** MiB. */
  readonly memory?: Measured
  readonly bursts?: BurstFinding
}

/** Use of a device over a stretch of time. */
export type DeviceUsage = {
  readonly nodeId: string
  readonly index: number
  readonly fromMs: number
  readonly toMs: number
  /** Percent. */
  readonly busy?: Measured
  /** MiB. */
  readonly memory?: Measured
}

/** Load of a service in whole buckets that follow each other. */
export type LoadRow = {
  readonly jobId: string
  /** Number of the first bucket since 1970. */
  readonly first: number
  /** What lies between the newest bucket before and `first`: nothing came, or it is not known. */
  readonly gap: 'nothing' | 'unknown'
  /** By bucket; -1 = not known. */
  readonly arrivals: readonly number[]
  readonly tokens: readonly number[]
}

export type ProfilerCommand =
  | ProfilerInput
  | {
      readonly type: 'RecordUsage'
      readonly tasks: readonly TaskUsage[]
      readonly devices: readonly DeviceUsage[]
    }
  | { readonly type: 'RecordLoad'; readonly rows: readonly LoadRow[] }
  | { readonly type: 'TellProfile'; readonly jobId: string }
  | { readonly type: 'TellForecast'; readonly jobId: string }
  /** Its tasks were heard of a while ago: it is over unless the scheduler has told of it. */
  | { readonly type: 'ForgetUntold'; readonly jobId: string }
  /** A source is told anew as a whole: everything in it, in order. */
  | {
      readonly type: 'ReplaceSource'
      readonly source: string
      readonly commands: readonly ProfilerInput[]
    }

/** What other services tell. */
export type ProfilerInput =
  | {
      readonly type: 'NoteJob'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly queue: string
      readonly ended: boolean
    }
  | { readonly type: 'NotePlaced'; readonly placed: PlacedFact }
  | {
      readonly type: 'NoteReleased'
      readonly jobId: string
      readonly gang: number
      readonly through: number
    }
  | {
      readonly type: 'NoteStarted'
      readonly key: GangKey
      readonly rank: number
      readonly startedMs: number
    }
  | { readonly type: 'NoteReady'; readonly key: GangKey; readonly atMs: number }
  /** `atMs`: clock of the task; 0 = it did not say. */
  | {
      readonly type: 'NoteStep'
      readonly key: GangKey
      readonly rank: number
      readonly step: number
      readonly atMs: number
    }
  | {
      readonly type: 'NoteCheckpoint'
      readonly key: GangKey
      readonly step: number
      readonly bytes: number
    }
  | {
      readonly type: 'DeclareService'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
    }
  | { readonly type: 'EndService'; readonly jobId: string }

/** Why a profile is told. */
export type TellCause = 'KNOWN' | 'CHANGED' | 'UNKNOWN' | 'ENDED'

export type ProfilerEvent =
  | {
      readonly type: 'ProfileBegun'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly queue: string
    }
  | {
      readonly type: 'ProfileNamed'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly queue: string
    }
  | { readonly type: 'ProfileEnded'; readonly jobId: string }
  | { readonly type: 'ProfileForgotten'; readonly jobId: string }
  | { readonly type: 'GangNoted'; readonly placed: PlacedFact }
  | {
      readonly type: 'GangForgotten'
      readonly jobId: string
      readonly gang: number
      readonly through: number
    }
  /** Tasks of a gang run whose placement was not heard of yet. */
  | { readonly type: 'GangExpected'; readonly key: GangKey }
  | {
      readonly type: 'TaskStartNoted'
      readonly key: GangKey
      readonly rank: number
      /** Log time by which it ran, ms. */
      readonly startedMs: number
    }
  /** `readyMs`: log time. */
  | { readonly type: 'StartMeasured'; readonly key: GangKey; readonly readyMs: number }
  | {
      readonly type: 'StepNoted'
      readonly key: GangKey
      readonly step: number
      readonly atMs: number
      readonly clock: 'task' | 'log'
    }
  | {
      readonly type: 'CheckpointNoted'
      readonly key: GangKey
      readonly step: number
      readonly bytes: number
    }
  | {
      readonly type: 'ServiceNoted'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
    }
  | { readonly type: 'ServiceForgotten'; readonly jobId: string }
  | { readonly type: 'TaskUsageRecorded'; readonly usage: TaskUsage }
  | { readonly type: 'DeviceUsageRecorded'; readonly jobId: string; readonly usage: DeviceUsage }
  | { readonly type: 'LoadRecorded'; readonly row: LoadRow }
  /** It will be looked at soon whether there is something to tell. */
  | {
      readonly type: 'TellingPlanned'
      readonly jobId: string
      readonly what: 'profile' | 'forecast'
    }
  | {
      readonly type: 'ProfileTold'
      readonly jobId: string
      readonly number: number
      readonly cause: TellCause
      readonly numbers: readonly number[]
    }
  | { readonly type: 'ForecastTold'; readonly jobId: string; readonly level: number }
  /** Nothing has changed that others would act on. */
  | {
      readonly type: 'TellingSkipped'
      readonly jobId: string
      readonly what: 'profile' | 'forecast'
    }

/** Keys of the timers. */
export const profileTimer = (jobId: string): string => `profile:${jobId}`
export const forecastTimer = (jobId: string): string => `forecast:${jobId}`
export const untoldTimer = (jobId: string): string => `untold:${jobId}`

/** The command of a due timer. */
export function commandOfTimer(key: string): ProfilerCommand {
  const split = key.indexOf(':')
  const jobId = key.slice(split + 1)
  switch (key.slice(0, split)) {
    case 'forecast':
      return { type: 'TellForecast', jobId }
    case 'untold':
      return { type: 'ForgetUntold', jobId }
    default:
      return { type: 'TellProfile', jobId }
  }
}
