import type { Json } from '@serverless-ai/kernel'

/** Mark in a consumed source: the last public event taken. */
export interface Mark {
  readonly source: string
  readonly partition: number
  /** 0 = none yet. */
  readonly seq: number
  /** Offset in the source's events topic; meaningless while `seq` is 0. */
  readonly offset: number
}

/** An answer as committed. */
export interface AnswerFact {
  /** UUIDv7; empty = not kept for repeated requests. */
  readonly requestId: string
  /** SHA-256 of the request's body; empty when `requestId` is. */
  readonly bodyHash: Uint8Array
  /** JSON of the outcome. */
  readonly outcome: string
}

/** A domain event as committed. */
export interface EventFact {
  readonly type: string
  readonly version: number
  /** JSON of the event. */
  readonly data: string
}

/** A public event as committed. */
export interface PublicFact {
  readonly seq: number
  readonly type: string
  readonly key: string
  readonly tenant: string
  readonly payload: Uint8Array
}

/** A public event of a bootstrap page, as JSON can carry it. */
export interface StoredEvent {
  readonly type: string
  readonly key: string
  readonly tenant: string
  readonly atMs: number
  /** Base64. */
  readonly payload: string
}

/** Something that could not be decided or applied and was set aside. */
export interface ParkedFact {
  readonly type: 'InputParked'
  /** `pool-manager/0`, `timer`, `effect` or `command`. */
  readonly source: string
  /** Public seq of an input; 0 otherwise. */
  readonly seq: number
  /** Offset of an input; 0 otherwise. */
  readonly offset: number
  /** Type of the event or command. */
  readonly name: string
  /** Entity id, timer key or effect key. */
  readonly key: string
  readonly error: string
  /** The input itself, cut to 4 KiB of text; base64 for public events. */
  readonly content: string
}

/** Template of a parked fact. */
export const parkedFact = (init: { source: string; name: string; key: string }): ParkedFact => ({
  type: 'InputParked',
  seq: 0,
  offset: 0,
  error: '',
  content: '',
  ...init,
})

/** What the runtime keeps in the log for itself. */
export type RuntimeFact =
  | {
      readonly type: 'EffectAdded'
      readonly key: string
      readonly kind: string
      readonly payload: Json
    }
  | { readonly type: 'EffectSettled'; readonly key: string }
  | { readonly type: 'TimerSet'; readonly key: string; readonly dueMs: number }
  | { readonly type: 'TimerCleared'; readonly key: string }
  | {
      readonly type: 'PublishedThrough'
      readonly seq: number
      /** Offset of that event in the events topic. */
      readonly offset: number
      /** Position of its commit in the private log. */
      readonly position: number
    }
  | ParkedFact
  | {
      readonly type: 'BootstrapPage'
      readonly id: string
      readonly source: string
      readonly partition: number
      /** From 0. */
      readonly page: number
      readonly events: readonly StoredEvent[]
    }
  | {
      readonly type: 'BootstrapDone'
      readonly id: string
      readonly source: string
      readonly partition: number
    }
  | {
      readonly type: 'SnapshotVerified'
      readonly name: string
      readonly position: number
      readonly digest: string
      /** How long the leader keeps the past, ms of log time; 0 = for ever. Absent = not said. */
      readonly retentionMs?: number
    }
  | {
      readonly type: 'StateDigest'
      /** The state after this position, which is the last effective one before the commit. */
      readonly position: number
      readonly schemaVersion: number
      readonly digest: string
    }
  | { readonly type: 'FeatureLevelRaised'; readonly level: number }

/** Content of a commit. */
export interface CommitFacts {
  readonly kind: 'normal' | 'tick' | 'yield'
  readonly commitId: Uint8Array
  readonly epoch: number
  readonly sequence: number
  readonly atMs: number
  readonly inputs: readonly Mark[]
  readonly answers: readonly AnswerFact[]
  readonly events: readonly EventFact[]
  readonly publics: readonly PublicFact[]
  readonly runtime: readonly RuntimeFact[]
}
