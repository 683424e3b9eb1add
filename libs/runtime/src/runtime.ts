/** One partition of a service: reader, claims, leader, and what hangs on them. */
import {
  type LogAddress,
  LogOutOfRangeError,
  type LogRecord,
  logTopic,
} from '@serverless-ai/eventlog'
import { type Message, type Ports, RpcError } from '@serverless-ai/kernel'
import { Claims } from './claims.ts'
import { Composer } from './composer.ts'
import { type RuntimeContext, type RuntimeOptions, settingsOf } from './context.ts'
import { errorText, notLeading, stopping } from './errors.ts'
import { Feed } from './feed.ts'
import { LeadSession } from './lead-session.ts'
import { Leader } from './leader.ts'
import { foldUpTo } from './loader.ts'
import { LogClock } from './log-clock.ts'
import type { Applied, Partition } from './partition.ts'
import { parsePosition } from './position.ts'
import { Reads } from './reads.ts'
import { Signal } from './signal.ts'
import { Snapshots } from './snapshots.ts'
import { statusOf } from './status.ts'
import { stopGracefully } from './stopping.ts'
import { submitCommand } from './submit.ts'
import { Tail } from './tail.ts'
import type {
  Answer,
  EffectiveChange,
  ExecuteOptions,
  PositionToken,
  PublicEvent,
  Role,
  RuntimeEnvironment,
  RuntimeStatus,
  ServiceDefinition,
  ServiceRuntime,
} from './types.ts'

/** A leader whose partition another replica wants too shows itself after so long a silence, ms. */
const TICK_AFTER_MS = 1000

/** Facts after which less of the log may be needed. */
const MAY_TRIM: ReadonlySet<string> = new Set(['SnapshotVerified', 'PublishedThrough'])

type Commit<E> = Extract<Applied<E>, { kind: 'commit' }>

/** See {@link ServiceRuntime}. */
class PartitionRuntime<S, C extends Message, E extends Message> implements ServiceRuntime<S, C, E> {
  readonly service: string
  readonly partition: number
  readonly context: RuntimeContext<S, C, E>
  readonly address: LogAddress
  readonly composer: Composer<S, C, E>
  readonly tail: Tail<S, C, E>
  readonly claims: Claims<S, C, E>
  readonly snapshots: Snapshots<S, C, E>
  readonly reads: Reads<S, C, E>
  readonly feed: Feed<S, C, E>
  /** Notified with everything that a waiter may wait for. */
  readonly changed = new Signal()
  /** Why the partition stopped; empty = it did not. */
  alarm = ''
  /** Something that does not stop the partition but must be looked at. */
  warning = ''
  #session: LeadSession<S, C, E> | undefined
  #caughtUp = false
  #refolding = false
  #stopping = false
  #stopped: Promise<void> | undefined
  /** Highest position that was ever applied: what is folded again has no consequences but state. */
  #seenThrough = -1
  #appendMs = 5
  #rivalSeen = false
  #lastRecordMs = 0
  readonly #started = Promise.withResolvers<void>()
  readonly #listeners = new Set<(change: EffectiveChange<S, E>) => void>()
  readonly #leadership = new Set<(leading: boolean, epoch: number) => void>()

  constructor(
    definition: ServiceDefinition<S, C, E>,
    environment: RuntimeEnvironment,
    rest: { ports: Ports; options: RuntimeOptions },
  ) {
    const { ports } = rest
    this.service = definition.name
    this.partition = environment.partition
    const logger = ports.logger.child({ service: this.service, partition: this.partition })
    const logClock = new LogClock(ports.clock)
    const options = settingsOf(rest.options)
    this.context = { definition, environment, ports, logger, options, logClock }
    this.address = { topic: logTopic(this.service), partition: this.partition }
    this.composer = new Composer({ definition, randomness: ports.randomness, logger })
    this.snapshots = new Snapshots(this.context, this.address)
    this.reads = new Reads(this.context, {
      changed: this.changed,
      readable: () => this.readable(),
      markWanted: (source, seq) => this.#session?.markWanted(source, seq),
    })
    this.feed = new Feed(this.context, {
      withState: (query) => {
        this.leading()
        return this.reads.read(query)
      },
      publisher: () => this.#session?.publisher,
    })
    this.claims = new Claims(this.context, {
      address: this.address,
      nextEpoch: () => this.#nextEpoch(),
      appendMs: () => this.#appendMs,
      logClosed: (error) => this.#fail(error),
    })
    this.tail = new Tail(this.context, {
      address: this.address,
      own: () => this.#session?.leader.inFlight?.own,
      applied: (record, applied, state) => this.#applied(record, applied, state),
      loaded: (name, position) => this.snapshots.loaded(name, position),
      dropped: (why) => this.#dropped(why),
      caughtUp: (state) => this.#onCaughtUp(state),
      stopped: (error) => this.#fail(error),
    })
    // A failed start is reported by `start` alone.
    this.#started.promise.catch(() => {})
  }

  get session(): LeadSession<S, C, E> | undefined {
    return this.#session
  }

  get role(): Role {
    if (this.alarm !== '' || this.#stopped !== undefined) return 'Stopped'
    if (this.#session !== undefined) return 'Leading'
    return this.claims.outstanding ? 'Claiming' : 'Following'
  }

  start(): Promise<void> {
    this.tail.start()
    return this.#started.promise
  }

  /** The session of the epoch that this process leads. Throws UNAVAILABLE when there is none. */
  leading(): LeadSession<S, C, E> {
    if (this.#stopping) throw stopping(this.service)
    if (this.alarm !== '') throw this.#alarmError()
    if (this.#session === undefined) throw this.notLeading()
    return this.#session
  }

  notLeading(): RpcError {
    const framework = this.tail.state?.framework
    const leader = { replica: framework?.leader ?? '', address: framework?.leaderAddress ?? '' }
    return notLeading(this.service, leader)
  }

  #alarmError(): RpcError {
    return new RpcError({
      code: 'UNAVAILABLE',
      reason: 'PARTITION_STOPPED',
      message: `${this.service} has stopped: ${this.alarm}`,
    })
  }

  /** State that may be read; undefined while it is folded, or ahead of the log. */
  readable(): Partition<S, C, E> | undefined {
    if (this.alarm !== '') throw this.#alarmError()
    if (!this.#caughtUp || this.#refolding) return undefined
    const leader = this.#session?.leader
    if (leader?.ahead !== true) return this.tail.state
    if (leader.blocked !== undefined) throw leader.blocked
    return undefined
  }

  async execute(command: C, options: ExecuteOptions = {}): Promise<Answer> {
    return submitCommand(this.leading(), command, { options, lost: () => this.notLeading() })
  }

  async read<T>(
    query: (state: S, at: { position: number; token: PositionToken; atMs: number }) => T,
    options: { minPosition?: PositionToken; signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<{ value: T; token: PositionToken }> {
    return this.reads.read((state) => {
      const { token, effectivePosition: position } = state
      const atMs = state.framework.lastAtMs
      return { value: query(state.core, { position, token, atMs }), token }
    }, options)
  }

  async readAt<T>(
    position: number,
    query: (state: S, at: { position: number; atMs: number }) => T,
  ): Promise<T> {
    try {
      const voids = this.tail.state?.voids.toJson() ?? []
      const state = await foldUpTo(this.context, this.address, { position, voids })
      return query(state.core, { position, atMs: state.framework.lastAtMs })
    } catch (error) {
      if (!(error instanceof LogOutOfRangeError)) throw error
      throw new RpcError({
        code: 'OUT_OF_RANGE',
        reason: 'POSITION_OUT_OF_RANGE',
        message: `${error.message}: that past is not kept, or not written yet`,
      })
    }
  }

  async confirm(): Promise<PositionToken> {
    const session = this.leading()
    return new Promise((resolve, reject) => {
      session.submit({ kind: 'confirm', onConfirmed: resolve, onLost: reject })
    })
  }

  onEffective(listener: (change: EffectiveChange<S, E>) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onLeadership(listener: (leading: boolean, epoch: number) => void): () => void {
    this.#leadership.add(listener)
    return () => this.#leadership.delete(listener)
  }

  async feedSnapshot(request: {
    types: readonly string[]
    pageSize: number
    pageToken: string
  }): Promise<{
    events: readonly PublicEvent[]
    seq: number
    offset: number
    nextPageToken: string
  }> {
    return this.feed.snapshot(request)
  }

  watchFeed(afterSeq: number, signal: AbortSignal): AsyncIterable<readonly PublicEvent[]> {
    return this.feed.watch(afterSeq, signal)
  }

  status(): RuntimeStatus {
    return statusOf(this)
  }

  digest(): Promise<{ position: number; digest: string }> {
    return this.reads.read((state) => ({
      position: state.effectivePosition,
      digest: state.digest(),
    }))
  }

  async snapshot(): Promise<string> {
    // Serialised inside the read, so that the state cannot go on meanwhile.
    const writing = await this.reads.read((state) => ({ done: this.snapshots.write(state) }))
    return this.#verified(writing.done)
  }

  async #verified(writing: ReturnType<Snapshots<S, C, E>['write']>): Promise<string> {
    const { name, verified } = await writing
    if (verified !== undefined) this.#session?.fact(verified)
    return name
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    this.#started.reject(stopping(this.service))
    const session = this.#session
    if (session !== undefined && this.alarm === '') {
      session.quiesce()
      await stopGracefully({
        session,
        changed: this.changed,
        snapshot: () => (this.snapshots.news ? this.snapshot() : undefined),
      })
    }
    await this.#close(stopping(this.service))
  }

  async #close(error: Error): Promise<void> {
    this.claims.close()
    this.#endSession(error)
    await this.tail.close()
    this.changed.notify()
  }

  /** The partition cannot go on; the process does. */
  #fail(error: unknown): void {
    if (this.alarm !== '' || this.#stopping) return
    this.alarm = errorText(error)
    this.context.logger.log('error', 'the partition has stopped', { alarm: this.alarm })
    this.#started.reject(error instanceof Error ? error : new Error(String(error)))
    void this.#close(this.#alarmError())
  }

  #nextEpoch(): number | undefined {
    const { state } = this.tail
    const wanted = this.#session === undefined && this.#caughtUp && !this.#stopping
    return wanted && state !== undefined && this.alarm === ''
      ? state.arbitration.epoch + 1
      : undefined
  }

  #onCaughtUp(state: Partition<S, C, E>): void {
    if (!this.#caughtUp) {
      this.#caughtUp = true
      this.changed.notify()
    }
    if (state.diverged !== '' && this.warning === '') {
      this.warning = state.diverged
      this.context.logger.log('error', 'the state differs from its digest in the log', {
        why: state.diverged,
      })
    }
    if (this.#refolding) {
      this.#refolding = false
      const { arbitration } = state
      const leads = arbitration.open && arbitration.epoch === this.#session?.leader.epoch
      if (leads) this.#session?.leader.pump()
      else this.#endSession(this.notLeading())
      this.changed.notify()
    }
    if (!this.context.options.lead) this.#started.resolve()
    this.claims.consider()
  }

  #dropped(why: string): void {
    this.#caughtUp = false
    this.context.logger.log('info', 'the state is folded again', { why })
    if (!this.#refolding) this.#endSession(this.notLeading())
    this.claims.forget()
  }

  /** The leader's state is spoiled, with nothing in flight: fold it again and go on leading. */
  #refold(): void {
    this.#refolding = true
    this.tail.drop('spoiled')
  }

  /** Consequences of a record. True = drop the state and fold again. */
  #applied(record: LogRecord, applied: Applied<E>, state: Partition<S, C, E>): boolean {
    const { position } = record
    const seen = position <= this.#seenThrough
    this.#seenThrough = Math.max(this.#seenThrough, position)
    if (applied.kind === 'commit') this.context.logClock.observe(applied.facts.atMs)
    if (applied.kind === 'voided') return applied.isNew && applied.position < position
    if (seen || applied.kind === 'damaged') return false
    this.#lastRecordMs = this.context.ports.clock.monotonicMs()
    if (applied.kind === 'skipped') {
      if (applied.claim !== undefined && this.claims.isOwn(applied.claim)) this.claims.forget()
      return false
    }
    const live = position >= this.tail.replayUntil
    if (applied.kind === 'claim') {
      const own = this.claims.isOwn(applied.claim)
      if (!own && live) this.#heardOfRival()
      if (this.#session !== undefined) return true
      if (own) this.#won(applied.epoch)
      return false
    }
    return this.#committed(position, applied, { state, live })
  }

  #heardOfRival(): void {
    this.#rivalSeen = true
    this.claims.heardOfOther()
  }

  #committed(
    position: number,
    applied: Commit<E>,
    at: { state: Partition<S, C, E>; live: boolean },
  ): boolean {
    const { state, live } = at
    this.claims.sawCommit()
    if (!applied.own) {
      if (live) this.#heardOfRival()
      // A commit of this epoch that is not its own: somebody else leads under its claim.
      if (this.#session !== undefined) return true
    }
    this.snapshots.folded(applied.facts)
    this.#notify(position, applied, { state, replaying: !live })
    const session = this.#session
    if (applied.own && session !== undefined) {
      session.leader.readBack(position, state.framework.publicSeq)
      session.onCommit(applied.facts)
      if (this.snapshots.due) void this.#snapshotNow(state)
      if (applied.facts.runtime.some(({ type }) => MAY_TRIM.has(type))) {
        void this.snapshots.tidy(state.framework)
      }
      if (applied.facts.kind === 'yield') this.#endSession(stopping(this.service))
      else session.leader.pump()
    }
    this.changed.notify()
    return false
  }

  async #snapshotNow(state: Partition<S, C, E>): Promise<void> {
    try {
      await this.#verified(this.snapshots.write(state))
    } catch (error) {
      this.context.logger.log('error', 'no snapshot could be written', { error: errorText(error) })
    }
  }

  #notify(
    position: number,
    applied: Commit<E>,
    at: { state: Partition<S, C, E>; replaying: boolean },
  ): void {
    const { state, replaying } = at
    if (applied.events.length === 0 || this.#listeners.size === 0) return
    const { token, core } = state
    const { epoch, atMs } = applied.facts
    const change = { position, token, epoch, atMs, events: applied.events, state: core, replaying }
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.context.logger.log('error', 'a listener failed', { error: errorText(error) })
      }
    }
  }

  #won(epoch: number): void {
    this.claims.forget()
    const leader = new Leader<S, C, E>(
      {
        context: this.context,
        composer: this.composer,
        address: this.address,
        state: () => (this.#refolding ? undefined : this.tail.state),
        openMarks: () => this.#session?.openMarks() ?? [],
        refold: () => this.#refold(),
        appendTook: (ms) => {
          this.#appendMs += (ms - this.#appendMs) / 8
        },
        logClosed: (error) => this.#fail(error),
        fail: (error) => this.#fail(error),
      },
      epoch,
    )
    const session = new LeadSession(this.context, leader, {
      state: () => this.tail.state,
      lost: () => this.notLeading(),
    })
    this.#session = session
    session.start()
    this.#tickAfterSilence(session)
    this.context.logger.log('info', 'leads', { epoch })
    this.#tell(true, epoch)
    this.#started.resolve()
    this.changed.notify()
  }

  /** Where another process wants the partition too, it is told that this one is alive. */
  #tickAfterSilence(session: LeadSession<S, C, E>): void {
    // A rival is heard of by its claim, which ends the session: the next one ticks from its start.
    if (session.leader.signal.aborted || !this.#rivalSeen) return
    const { clock, timers } = this.context.ports
    const silentMs = clock.monotonicMs() - this.#lastRecordMs
    if (silentMs >= TICK_AFTER_MS && session.leader.inFlight === undefined) {
      session.submit({ kind: 'confirm', onConfirmed: () => {}, onLost: () => {} })
    }
    const timer = timers.after(TICK_AFTER_MS / 2, () => this.#tickAfterSilence(session))
    session.leader.signal.addEventListener('abort', () => timer.cancel(), { once: true })
  }

  #endSession(error: Error): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    this.#refolding = false
    session.leader.close(error)
    this.#tell(false, session.leader.epoch)
    this.changed.notify()
  }

  #tell(leading: boolean, epoch: number): void {
    for (const listener of this.#leadership) {
      try {
        listener(leading, epoch)
      } catch (error) {
        this.context.logger.log('error', 'a listener failed', { error: errorText(error) })
      }
    }
  }
}

/** What `status` and others see of a runtime. */
export type RuntimeInside<S, C extends Message, E extends Message> = PartitionRuntime<S, C, E>

/**
 * A runtime for one partition of a service. `start` claims the partition after catching up (unless `lead` is false) and resolves when it leads.
 */
export function createRuntime<S, C extends Message, E extends Message>(
  definition: ServiceDefinition<S, C, E>,
  environment: RuntimeEnvironment,
  ports: Ports,
  options: RuntimeOptions = {},
): ServiceRuntime<S, C, E> {
  const probe = `${definition.name}:${environment.partition}:0:0`
  parsePosition(probe)
  return new PartitionRuntime(definition, environment, { ports, options })
}
