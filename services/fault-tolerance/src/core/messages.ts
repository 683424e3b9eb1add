import type {
  Checkpoint,
  Incident,
  IncidentProgress,
  NodeView,
  Notice,
  RetryPolicy,
  TaskEnd,
} from './model.ts'

type GangRef = { readonly jobId: string; readonly gang: number; readonly generation: number }

/** Inputs from the other services, effects that are done, due timers. */
export type FaultCommand =
  | {
      readonly type: 'DescribeJob'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly retry: RetryPolicy
      /** Of an Inference job alone, ms. */
      readonly startupDeadlineMs?: number
    }
  | {
      readonly type: 'DescribeService'
      readonly jobId: string
      readonly startupDeadlineMs: number
    }
  | ({
      readonly type: 'NotePlaced'
      readonly nodeOfRank: readonly string[]
      readonly tenant: string
    } & GangRef)
  | {
      readonly type: 'NoteReleased'
      readonly jobId: string
      readonly gang: number
      readonly through: number
      readonly cause: string
    }
  | { readonly type: 'NoteJobState'; readonly jobId: string; readonly state: string }
  | { readonly type: 'NoteNode'; readonly nodeId: string; readonly node: NodeView }
  | ({ readonly type: 'NoteStarted'; readonly rank: number } & GangRef)
  | ({ readonly type: 'NoteEnded'; readonly end: TaskEnd } & GangRef)
  | ({ readonly type: 'NoteProgress'; readonly step: number } & GangRef)
  | ({
      readonly type: 'RegisterCheckpoint'
      readonly checkpoint: {
        readonly step: number
        readonly path: string
        readonly bytes: number
        readonly digest: string
      }
      /** Planned change that it was written for; empty = none. */
      readonly notice?: string
    } & GangRef)
  | ({ readonly type: 'NoteReadiness'; readonly ready: boolean; readonly cause: string } & GangRef)
  | ({ readonly type: 'NoteNeverReady' } & GangRef)
  | ({ readonly type: 'NoteNotice'; readonly notice: Notice } & GangRef)
  | ({ readonly type: 'EndNotice' } & GangRef)
  | { readonly type: 'Judge'; readonly incidentId: string }
  | { readonly type: 'SettleEffect'; readonly key: string }
  /** A source is told anew as a whole: everything in it, in order. */
  | {
      readonly type: 'ReplaceSource'
      readonly source: string
      readonly commands: readonly FaultInput[]
    }

/** Every command but the replacement of a whole source. */
export type FaultInput = Exclude<FaultCommand, { type: 'ReplaceSource' }>

/** What is recorded. */
export type FaultEvent =
  | {
      readonly type: 'JobDescribed'
      readonly jobId: string
      readonly tenant: string
      readonly name: string
      readonly retry: RetryPolicy
      readonly startupDeadlineMs?: number
    }
  /** A service has another description. */
  | {
      readonly type: 'ServiceDescribed'
      readonly jobId: string
      readonly startupDeadlineMs: number
    }
  | ({
      readonly type: 'GenerationPlaced'
      readonly nodeOfRank: readonly string[]
      readonly tenant: string
    } & GangRef)
  | {
      readonly type: 'GenerationsReleased'
      readonly jobId: string
      readonly gang: number
      readonly through: number
      /** Set when no other generation of the gang follows: a replica that is not wanted. */
      readonly over?: true
    }
  | ({ readonly type: 'ReadinessNoted'; readonly ready: boolean; readonly cause: string } & GangRef)
  | ({ readonly type: 'NoticeNoted'; readonly notice: Notice } & GangRef)
  | ({ readonly type: 'NoticeSettled'; readonly late: boolean } & GangRef)
  | { readonly type: 'JobEnded'; readonly jobId: string }
  | { readonly type: 'NodeNoted'; readonly nodeId: string; readonly node: NodeView }
  | { readonly type: 'NodeForgotten'; readonly nodeId: string }
  | ({ readonly type: 'TaskStartNoted'; readonly rank: number } & GangRef)
  | ({ readonly type: 'TaskEndNoted'; readonly end: TaskEnd } & GangRef)
  | ({ readonly type: 'ProgressNoted'; readonly step: number } & GangRef)
  | {
      readonly type: 'CheckpointRegistered'
      readonly jobId: string
      readonly gang: number
      readonly checkpoint: Checkpoint
    }
  | { readonly type: 'IncidentOpened'; readonly incident: Incident }
  | {
      readonly type: 'EvidenceAdded'
      readonly incidentId: string
      readonly lines: readonly string[]
    }
  | {
      readonly type: 'IncidentMoved'
      readonly incidentId: string
      readonly progress: IncidentProgress
    }

/** Events that the level of the log must allow first. */
export const SERVING_EVENTS = [
  'ReadinessNoted',
  'NoticeNoted',
  'NoticeSettled',
  'ServiceDescribed',
] as const
