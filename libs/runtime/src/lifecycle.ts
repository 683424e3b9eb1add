/**
 * What the records of the log mean for this process: following, claiming, leading, being fenced,
 * stopping.
 */
import { type LogAddress, type LogRecord, logTopic } from '@serverless-ai/eventlog'
import type { Message, RpcError } from '@serverless-ai/kernel'
import { Composer } from './composer.ts'
import { Condition } from './condition.ts'
import type { RuntimeContext } from './context.ts'
import { errorText, notLeading, stopping } from './errors.ts'
import { Heartbeat } from './heartbeat.ts'
import { LeadSession } from './lead-session.ts'
import { Leader } from './leader.ts'
import { Observers } from './observers.ts'
import type { Applied, Partition } from './partition.ts'
import { Signal } from './signal.ts'
import { Snapshots } from './snapshots.ts'
import { claimName } from './standby.ts'
import { stopGracefully } from './stopping.ts'
import { Succession } from './succession.ts'
import { Tail } from './tail.ts'
import type { Role } from './types.ts'

/** Facts after which less of the log may be needed. */
const MAY_TRIM: ReadonlySet<string> = new Set(['SnapshotVerified', 'PublishedThrough'])

type Commit<E> = Extract<Applied<E>, { kind: 'commit' }>

/** Life of one partition in one process. */
export class Lifecycle<S, C extends Message, E extends Message> {
  readonly context: RuntimeContext<S, C, E>
  readonly address: LogAddress
  readonly observers: Observers<S, C, E>
  readonly snapshots: Snapshots<S, C, E>
  /** Notified with everything that a waiter may wait for. */
  readonly changed = new Signal()
  readonly condition: Condition
  readonly #composer: Composer<S, C, E>
  readonly #tail: Tail<S, C, E>
  readonly #succession: Succession<S, C, E>
  readonly #heartbeat: Heartbeat<S, C, E>
  readonly #started = Promise.withResolvers<void>()
  #session: LeadSession<S, C, E> | undefined
  #caughtUp = false
  /** The leader's state was spoiled and is folded again, while it goes on leading. */
  #refolding = false
  #stopping = false
  #stopped: Promise<void> | undefined
  /** Highest position that was ever applied: what is folded again has no consequences but state. */
  #seenThrough = -1

  constructor(context: RuntimeContext<S, C, E>) {
    this.context = context
    const { definition, environment, logger, ports } = context
    this.address = { topic: logTopic(definition.name), partition: environment.partition }
    this.condition = new Condition(definition.name, logger)
    this.observers = new Observers(logger)
    this.snapshots = new Snapshots(context, this.address)
    const { randomness, clock } = ports
    this.#composer = new Composer({ definition, randomness, clock, logger })
    this.#succession = new Succession(context, {
      address: this.address,
      state: () => this.#tail.state,
      candidate: () => this.#candidate(),
      leaderSeen: () => this.#started.resolve(),
      logClosed: (error) => this.#fail(error),
    })
    this.#heartbeat = new Heartbeat(ports, this.#succession.several)
    this.#tail = new Tail(context, {
      address: this.address,
      own: () => this.#session?.leader.inFlight?.own,
      applied: (record, applied, state) => this.#applied(record, applied, state),
      loaded: (name, position) => this.snapshots.loaded(name, position),
      dropped: (why) => this.#dropped(why),
      caughtUp: (state, sinceMs) => this.#onCaughtUp(state, sinceMs),
      fetchMs: () => this.#succession.fetchMs(),
      stopped: (error) => this.#fail(error),
    })
    // A failed start is reported by `start` alone.
    this.#started.promise.catch(() => {})
  }

  /** The folded state, perhaps ahead of the log; undefined while it is folded again. */
  get state(): Partition<S, C, E> | undefined {
    return this.#tail.state
  }

  get session(): LeadSession<S, C, E> | undefined {
    return this.#session
  }

  get role(): Role {
    if (this.condition.alarm !== '' || this.#stopped !== undefined) return 'Stopped'
    if (this.#session !== undefined) return 'Leading'
    return this.#succession.claims.outstanding ? 'Claiming' : 'Following'
  }

  /** The session of the epoch that this process leads. Throws UNAVAILABLE when there is none. */
  leading(): LeadSession<S, C, E> {
    if (this.#stopping) throw stopping(this.context.definition.name)
    this.condition.check()
    if (this.#session === undefined) throw this.notLeading()
    return this.#session
  }

  notLeading(): RpcError {
    return notLeading(this.context.definition.name, this.#succession.leader())
  }

  /** State that may be read; undefined while it is folded, or ahead of the log. */
  readable(): Partition<S, C, E> | undefined {
    this.condition.check()
    if (!this.#caughtUp || this.#refolding) return undefined
    const leader = this.#session?.leader
    if (leader?.ahead !== true) return this.#tail.state
    if (leader.blocked !== undefined) throw leader.blocked
    return undefined
  }

  /** Whether this process leads exactly this claim and gets on with it. */
  serves(claim: string): boolean | undefined {
    const { definition, environment } = this.context
    if (!claim.startsWith(`${definition.name}/${environment.partition}/`)) return undefined
    return this.#session?.serves(claim, this.#succession.appendTime.ms) ?? false
  }

  start(): Promise<void> {
    this.#tail.start()
    return this.#started.promise
  }

  /**
   * Writes a snapshot of this state, which is effective now, and commits that it is good. Returns
   * its name.
   */
  async writeSnapshot(state: Partition<S, C, E>): Promise<string> {
    const { name, verified } = await this.snapshots.write(state)
    if (verified !== undefined) this.#session?.fact(verified)
    return name
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    const reason = stopping(this.context.definition.name)
    this.#started.reject(reason)
    const session = this.#session
    if (session !== undefined && this.condition.alarm === '') {
      session.quiesce()
      const snapshot = (): Promise<string> | undefined => {
        const state = this.readable()
        return state !== undefined && this.snapshots.news ? this.writeSnapshot(state) : undefined
      }
      await stopGracefully({ session, changed: this.changed, snapshot })
    }
    await this.#close(reason)
  }

  async #close(error: Error): Promise<void> {
    this.#succession.close()
    this.#endSession(error)
    await this.#tail.close()
    this.changed.notify()
  }

  /** The partition cannot go on; the process does. */
  #fail(error: unknown): void {
    if (this.condition.alarm !== '' || this.#stopping) return
    this.condition.failed(error)
    this.#started.reject(error instanceof Error ? error : new Error(String(error)))
    void this.#close(this.condition.error())
  }

  /** The state while this process may claim. */
  #candidate(): Partition<S, C, E> | undefined {
    const { state } = this.#tail
    const wanted = this.#session === undefined && this.#caughtUp && !this.#stopping
    if (!wanted || state === undefined || this.condition.alarm !== '') return undefined
    return this.condition.mayLead(state) ? state : undefined
  }

  #onCaughtUp(state: Partition<S, C, E>, sinceMs: number): void {
    const first = !this.#caughtUp
    this.#caughtUp = true
    this.condition.look(state)
    if (this.#refolding) {
      this.#refolding = false
      const { arbitration } = state
      const leads = arbitration.open && arbitration.epoch === this.#session?.leader.epoch
      if (leads) this.#session?.resumed()
      else this.#endSession(this.notLeading())
    }
    this.changed.notify()
    if (!this.context.options.lead) this.#started.resolve()
    else if (!this.condition.mayLead(state)) this.#started.reject(new Error(this.condition.warning))
    this.#succession.reachedEnd(state, { sinceMs, first })
  }

  #dropped(why: string): void {
    this.#caughtUp = false
    this.context.logger.log('info', 'the state is folded again', { why })
    if (!this.#refolding) this.#endSession(this.notLeading())
    this.#succession.claims.forget()
  }

  /** Consequences of a record. True = drop the state and fold again. */
  #applied(record: LogRecord, applied: Applied<E>, state: Partition<S, C, E>): boolean {
    const { position } = record
    const seen = position <= this.#seenThrough
    this.#seenThrough = Math.max(this.#seenThrough, position)
    if (applied.kind === 'commit') this.context.logClock.observe(applied.facts.atMs)
    if (applied.kind === 'voided') return applied.isNew && applied.position < position
    if (seen || applied.kind === 'damaged') return false
    const { claims } = this.#succession
    if (applied.kind === 'skipped') {
      if (applied.claim !== undefined && claims.isOwn(applied.claim)) claims.forget()
      return false
    }
    this.#heartbeat.heard(this.context.ports.clock.monotonicMs())
    const live = position >= this.#tail.replayUntil
    if (applied.kind === 'commit') return this.#committed(position, applied, { state, live })
    const own = claims.isOwn(applied.claim)
    if (!own) this.#heardOfRival(applied, { state, live })
    if (this.#session !== undefined) return this.#fenced()
    if (own) this.#won(applied.epoch, state.lastClaim.claimId)
    return false
  }

  #heardOfRival(
    record: Extract<Applied<E>, { kind: 'claim' | 'commit' }>,
    at: { state: Partition<S, C, E>; live: boolean },
  ): void {
    if (at.live) this.#heartbeat.rivalHeard()
    this.#succession.heard(record, at)
  }

  /** Somebody else leads, or will: what this process thought ahead is worth nothing. */
  #fenced(): true {
    this.#endSession(this.notLeading())
    return true
  }

  #committed(
    position: number,
    applied: Commit<E>,
    at: { state: Partition<S, C, E>; live: boolean },
  ): boolean {
    const { state, live } = at
    const { facts, events, own } = applied
    this.#succession.claims.sawCommit()
    if (!own) this.#heardOfRival(applied, at)
    // A commit of its epoch that is not its own: somebody else leads under its claim.
    if (!own && this.#session !== undefined) return this.#fenced()
    this.snapshots.folded(facts)
    this.observers.effective({ position, facts, events }, { state, replaying: !live })
    if (own) this.#readBack(position, applied, state)
    this.changed.notify()
    return false
  }

  #readBack(position: number, { facts }: Commit<E>, state: Partition<S, C, E>): void {
    const session = this.#session
    if (session === undefined) return
    session.leader.readBack(position, state.framework.publicSeq)
    session.onCommit(facts)
    if (this.snapshots.due) void this.#snapshotNow(state)
    if (!this.#stopping && facts.runtime.some(({ type }) => MAY_TRIM.has(type))) {
      void this.snapshots.tidy(state.framework)
    }
    if (facts.kind === 'yield') this.#endSession(stopping(this.context.definition.name))
    else session.leader.pump()
  }

  async #snapshotNow(state: Partition<S, C, E>): Promise<void> {
    try {
      await this.writeSnapshot(state)
    } catch (error) {
      this.context.logger.log('error', 'no snapshot could be written', { error: errorText(error) })
    }
  }

  #won(epoch: number, claimId: string): void {
    const { definition, environment } = this.context
    const { claims, appendTime } = this.#succession
    claims.forget()
    const host = {
      context: this.context,
      composer: this.#composer,
      address: this.address,
      // Half a fold is no state: what is not in it yet must not look settled or cancelled.
      state: () => (this.#refolding ? undefined : this.#tail.state),
      openMarks: () => this.#session?.openMarks() ?? [],
      refold: () => {
        this.#refolding = true
        this.#tail.drop('events could not be applied')
      },
      appendTook: (ms: number) => appendTime.took(ms),
      nothingToDo: () => this.changed.notify(),
      logClosed: (error: Error) => this.#fail(error),
      fail: (error: unknown) => this.#fail(error),
    }
    const session = new LeadSession(this.context, new Leader<S, C, E>(host, epoch), {
      state: host.state,
      claim: claimName(definition.name, environment.partition, { epoch, claimId }),
      lost: () => this.notLeading(),
    })
    this.#session = session
    session.start()
    this.#heartbeat.start(session)
    const framework = this.#tail.state?.framework
    if (framework !== undefined) void this.snapshots.tidy(framework)
    this.context.logger.log('info', 'leads', { epoch })
    this.observers.leadership(true, epoch)
    this.#started.resolve()
    this.changed.notify()
  }

  #endSession(error: Error): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    this.#refolding = false
    this.#heartbeat.stop()
    session.leader.close(error)
    this.observers.leadership(false, session.leader.epoch)
    this.changed.notify()
  }
}
