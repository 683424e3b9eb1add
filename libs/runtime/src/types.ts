import type { PublicEvent } from '@serverless-ai/contracts/public-event'
import type { EventLog, SnapshotStore } from '@serverless-ai/eventlog'
import type {
  CallContext,
  DecideContext,
  Decider,
  EffectRequest,
  Json,
  Message,
  Refusal,
  TraceContext,
} from '@serverless-ai/kernel'
import type { RuntimeObserver } from './observer.ts'

export type { PublicEvent }

/** A public event before it has a seq. */
export type PublicDraft = Pick<PublicEvent, 'type' | 'key' | 'tenant' | 'payload'>

/** A source of inputs: another service whose public events become commands of this core. */
export interface InputSource<C> {
  /** Name of the service, for example `pool-manager`. */
  readonly service: string
  /**
   * The command for an event; undefined when it does not concern this service. Throws when it
   * cannot be decoded: it is parked then.
   */
  toCommand(event: PublicEvent): C | undefined
  /**
   * The command that replaces everything known of the source by this full state (after a gap): what
   * is absent in `events` is gone. The core reconciles in `decide`, with ordinary events.
   */
  replaced(events: readonly PublicEvent[]): C
}

/**
 * What a service is made of: its core and how the core meets the world. All functions but `perform`
 * are pure.
 */
export interface ServiceDefinition<S, C extends Message, E extends Message> {
  /** `scheduler`, `pool-manager`, … */
  readonly name: string
  /**
   * Version of state JSON and event data. Snapshots of another version are ignored and the log is
   * folded instead, unless `upcastState` reads them; a log that was trimmed needs one that does.
   */
  readonly schemaVersion: number
  readonly decider: Decider<S, C, E>
  /** Highest feature level that this version knows. Default: that of the platform. */
  readonly featureLevel?: number
  /**
   * Feature level of each event that is newer than level 1: `decide` may use it from that level on
   * (`DecideContext.featureLevel`), and a commit that does so earlier is refused as a bug.
   */
  readonly eventLevels?: Readonly<Record<string, number>>
  /**
   * Brings an older event to the present shape: (type, version, data) → event. Absent = every event
   * is read as it is.
   */
  upcast?(type: string, version: number, data: Json): E
  /**
   * Brings the state JSON of a snapshot of an older schema version to the present one: what
   * `toJson` would give after the same log. Absent = such snapshots are ignored.
   */
  upcastState?(version: number, state: Json): Json
  /**
   * Public events of a domain event; `state` is the state after it. Called once, by the leader,
   * inside the commit.
   */
  publish(event: E, state: S, atMs: number): readonly PublicDraft[]
  /**
   * The present state as public events, for bootstrap: what an empty consumer must see. Lazy and in
   * stable order.
   */
  snapshotFeed(state: S): Iterable<PublicDraft>
  readonly inputs: readonly InputSource<C>[]
  /** Command for a due timer. */
  onTimer?(key: string): C
  /**
   * Performs an effect (call of another service). Returns the command that records its outcome,
   * which settles the effect; or throws, and it is performed again after a back-off (0.2 s doubling
   * to 10 s). At least once: the callee is idempotent by domain key.
   */
  perform?(effect: EffectRequest, context: { attempt: number; signal: AbortSignal }): Promise<C>
}

/** Opaque position, `<service>:<cell>:<log position>:<public seq>`. */
export type PositionToken = string

/** What a command came to, released after its commit was read back as effective. */
export type Answer =
  | { readonly ok: true; readonly value: Json; readonly position: PositionToken }
  | { readonly ok: false; readonly refusal: Refusal; readonly position: PositionToken }

/** Options of {@link ServiceRuntime.execute}. */
export interface ExecuteOptions {
  /**
   * UUIDv7: the same id again gets the first answer. Without it the command must be idempotent by
   * its domain key.
   */
  readonly requestId?: string
  /** SHA-256 of the request body; needed with `requestId`. */
  readonly bodyHash?: Uint8Array
  readonly signal?: AbortSignal
  /** Refused with DEADLINE_EXCEEDED when it has not been decided by then, ms from now. */
  readonly timeoutMs?: number
}

/**
 * What changed with an effective commit, for views and streams. `state` is after the commit; read
 * only, use at once.
 */
export interface EffectiveChange<S, E extends Message> {
  readonly position: number
  readonly token: PositionToken
  readonly epoch: number
  readonly atMs: number
  readonly events: readonly E[]
  readonly state: S
  /**
   * True while the replica is catching up after a (re)start: no one should act on it, only views
   * update.
   */
  readonly replaying: boolean
}

export type Role = 'Following' | 'Claiming' | 'Leading' | 'Stopped'

/** For operators. */
export interface RuntimeStatus {
  readonly service: string
  readonly partition: number
  readonly role: Role
  readonly leader: string
  readonly epoch: number
  readonly position: number
  readonly publicSeq: number
  readonly publishedSeq: number
  readonly lastSnapshot: string
  readonly lastSnapshotPosition: number
  readonly unsettledEffects: number
  readonly oldestEffectAgeMs: number
  readonly parkedInputs: number
  /** Items that wait for the next commit. */
  readonly mailboxItems: number
  /** Public events that are committed and not known to be published. */
  readonly unpublishedEvents: number
  /** Records at the end of the log, as of the last fetch, that are not folded yet. */
  readonly lagRecords: number
  /**
   * What must be looked at: it stopped, cannot write, cannot publish, or differs from its log;
   * empty = nothing.
   */
  readonly alarm: string
  /** Why nothing can be committed now, for example a full disk; empty = it can. */
  readonly blocked: string
  /** Feature level that the log is at; 0 = not known yet. */
  readonly featureLevel: number
  /** Highest feature level that this version knows. */
  readonly knownFeatureLevel: number
}

/** Which record's events are to be void. */
export interface VoidRequest {
  /** Position of the record in the log. */
  readonly position: number
  /** SHA-256 of the record, hex: what was looked at is what is voided. Empty: `validateOnly`. */
  readonly recordHash: string
  /** Nothing is written. Default false. */
  readonly validateOnly?: boolean
}

/** What a void takes out of the state. */
export interface VoidOutcome {
  /** SHA-256 of the record, hex. */
  readonly recordHash: string
  readonly events: readonly { readonly type: string; readonly data: string }[]
  /** Log time of the record, ms since 1970. */
  readonly atMs: number
  /** It was void before. */
  readonly alreadyVoid: boolean
  /** Position of the void; 0 = none was written. */
  readonly voidPosition: number
}

/** A running partition of a service. */
export interface ServiceRuntime<S, C extends Message, E extends Message> {
  readonly service: string
  readonly partition: number
  /**
   * Folds snapshot and tail and claims when it is its turn. Resolves when it leads and its claim
   * was read back; with several replicas also when another one is known to lead, by a new record of
   * it or its health.
   */
  start(): Promise<void>
  /**
   * Decides a command; resolves when its commit was read back. Rejects with RpcError UNAVAILABLE
   * `NOT_LEADING` (metadata `leaderAddress`: whom to ask, empty while nobody is known to lead),
   * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED `MAILBOX_FULL`.
   */
  execute(command: C, options?: ExecuteOptions): Promise<Answer>
  /**
   * Reads effective state only (waits for the commit in flight). `minPosition` waits for the own
   * log or for the folded mark of its source. Followers serve reads too, and so does a leader that
   * was deposed and does not know it yet: what they see is effective and may be old.
   */
  read<T>(
    query: (state: S, at: { position: number; token: PositionToken; atMs: number }) => T,
    options?: { minPosition?: PositionToken; signal?: AbortSignal; timeoutMs?: number },
  ): Promise<{ value: T; token: PositionToken }>
  /**
   * State folded up to a past log position (from the nearest snapshot). Rejects with RpcError
   * OUT_OF_RANGE.
   */
  readAt<T>(
    position: number,
    query: (state: S, at: { position: number; atMs: number }) => T,
  ): Promise<T>
  /**
   * Resolves when a commit (a tick when there is nothing else) that began after this call was read
   * back: proof of leadership. `withinMs`: wait so long for a commit that is made anyway before a
   * tick is written, ms; by default not at all.
   */
  confirm(options?: { readonly withinMs?: number }): Promise<PositionToken>
  /**
   * Called for each effective record with domain events, in order; also while catching up. Returns
   * unsubscribe.
   */
  onEffective(listener: (change: EffectiveChange<S, E>) => void): () => void
  /** Called when leadership is won (after the claim was read back) and lost. */
  onLeadership(listener: (leading: boolean, epoch: number) => void): () => void
  /** Page of the bootstrap feed and live feed, of the leader only; see feed.proto. */
  feedSnapshot(request: {
    types: readonly string[]
    pageSize: number
    pageToken: string
  }): Promise<{
    events: readonly PublicEvent[]
    seq: number
    offset: number
    nextPageToken: string
  }>
  watchFeed(afterSeq: number, signal: AbortSignal): AsyncIterable<readonly PublicEvent[]>
  /**
   * For the health service: does this process lead exactly this claim
   * (`<service>/<partition>/<epoch>/<claimId hex>`), with no commit in flight for longer than
   * max(4 s, 4 × append time)? Undefined when the name is not one of this service and partition.
   */
  serves(claim: string): boolean | undefined
  status(): RuntimeStatus
  /**
   * SHA-256 over the canonical JSON of the effective state, hex, with the position it belongs to.
   */
  digest(): Promise<{ position: number; digest: string }>
  /** Writes a snapshot now. */
  snapshot(): Promise<string>
  /**
   * Raises the feature level of the log, for good; the leader only. Resolves when that was read
   * back, at once when the log is there already. Whether all other replicas know the level is the
   * caller's to find out: one that does not will not lead. Rejects with FAILED_PRECONDITION
   * `FEATURE_LEVEL_UNKNOWN` or `FEATURE_LEVEL_LOWER`, and as `execute`. `validateOnly`: nothing is
   * raised. `inUse`: level of the log at `token`.
   */
  raiseFeatureLevel(
    level: number,
    options?: { readonly validateOnly?: boolean },
  ): Promise<{ inUse: number; token: PositionToken }>
  /**
   * Voids the domain events of a record: they leave the state of all readers, for good; the rest of
   * it and what follows stay. Any replica may, also one that does not lead or has stopped. Rejects
   * with OUT_OF_RANGE `POSITION_OUT_OF_RANGE`, FAILED_PRECONDITION `VOID_MISMATCH` or
   * `VOID_BREAKS_LOG`, and when the log cannot be written.
   */
  voidRecord(request: VoidRequest): Promise<VoidOutcome>
  /**
   * Context of the last traced change of an entity, by the key of its public events; undefined =
   * none is known, which says nothing of the entity. For spans only.
   */
  traceOf(key: string): TraceContext | undefined
  /** Finish the batch, snapshot, yield, close. */
  stop(): Promise<void>
}

/** How other services' bootstrap feeds are reached (EventFeedService over the transport). */
export type FeedClient = (
  service: string,
  request: { partition: number; pageSize: number; pageToken: string },
) => Promise<{ events: readonly PublicEvent[]; seq: number; offset: number; nextPageToken: string }>

/**
 * What a leader's health service says of a claim: `serving` while that process leads exactly it,
 * `not-serving` when the process answers but does not, `refused` when nobody listens at the address
 * or the connection was reset.
 */
export type LeaderHealthAnswer = 'serving' | 'not-serving' | 'refused'

/**
 * Asks the health service at `address` for `claim`, which is
 * `<service>/<partition>/<epoch>/<claimId hex>`. Rejects, or never settles, when there is no
 * answer; the caller aborts `signal` after its deadline (2 s).
 */
export type LeaderHealth = (
  address: string,
  claim: string,
  signal: AbortSignal,
) => Promise<LeaderHealthAnswer>

/** What a runtime needs from outside. */
export interface RuntimeEnvironment {
  readonly eventLog: EventLog
  readonly snapshots: SnapshotStore
  readonly feed: FeedClient
  /** Configured, stable name of this replica. */
  readonly replica: string
  /** Address that claims announce. */
  readonly address: string
  readonly partition: number
  /**
   * Configured names of all replicas of this service, this one included. Default `[replica]`: it
   * claims at once and writes nothing while idle. With several, they take turns by the rules of
   * `standby.ts`, and the leader shows itself each second.
   */
  readonly replicas?: readonly string[]
  /** How a standby asks for the leader's health. Absent = only silence of the log tells. */
  readonly leaderHealth?: LeaderHealth
  /** Told of commits, refusals, rounds and snapshots. Default: nobody. */
  readonly observer?: RuntimeObserver
}

export type { CallContext, DecideContext, Decider, EffectRequest, Json, Message, Refusal }
