/**
 * What the records of the log mean for this process: following, claiming, leading, being fenced,
 * stopping.
 */
import { type LogAddress, type LogRecord, logTopic } from '@serverless-ai/eventlog'
import type { Message, RpcError } from '@serverless-ai/kernel'
import { Condition } from './condition.ts'
import type { RuntimeContext } from './context.ts'
import { notLeading, stopping } from './errors.ts'
import type { LeadSession } from './lead-session.ts'
import { Leadership } from './leadership.ts'
import { FeatureLevelError } from './levels.ts'
import { Observers } from './observers.ts'
import type { Applied, Partition } from './partition.ts'
import { submitFact } from './session.ts'
import { Signal } from './signal.ts'
import { Snapshots } from './snapshots.ts'
import { stopGracefully } from './stopping.ts'
import { Succession } from './succession.ts'
import { Tail } from './tail.ts'
import type { Role } from './types.ts'

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
  readonly #tail: Tail<S, C, E>
  readonly #succession: Succession<S, C, E>
  readonly #leadership: Leadership<S, C, E>
  readonly #started = Promise.withResolvers<void>()
  #caughtUp = false
  #stopping = false
  #stopped: Promise<void> | undefined
  /** Highest position that was ever applied: what is folded again has no consequences but state. */
  #seenThrough = -1

  constructor(context: RuntimeContext<S, C, E>) {
    this.context = context
    const { definition, environment, logger } = context
    this.address = { topic: logTopic(definition.name), partition: environment.partition }
    this.condition = new Condition({ service: definition.name, level: context.level }, logger)
    this.observers = new Observers(logger)
    this.snapshots = new Snapshots(context, {
      address: this.address,
      commit: (fact) => {
        if (this.session !== undefined) submitFact(this.session, fact)
      },
    })
    this.#succession = new Succession(context, {
      address: this.address,
      state: () => this.#tail.state,
      candidate: () => this.#candidate(),
      leaderSeen: () => this.#started.resolve(),
      logClosed: (error) => this.#fail(error),
    })
    this.#leadership = new Leadership(context, {
      address: this.address,
      several: this.#succession.several,
      state: () => this.#tail.state,
      refold: (why) => this.#tail.drop(why),
      appendTook: (ms) => this.#succession.appendTime.took(ms),
      notLeading: () => this.notLeading(),
      told: (leading, epoch) => this.observers.leadership(leading, epoch),
      changed: () => this.changed.notify(),
      fail: (error) => this.#fail(error),
    })
    this.#tail = new Tail(context, {
      address: this.address,
      own: () => this.session?.leader.inFlight?.own,
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

  /** Records that the log is known to hold and that are not folded yet. */
  get lagRecords(): number {
    return this.#tail.lagRecords
  }

  get session(): LeadSession<S, C, E> | undefined {
    return this.#leadership.session
  }

  get role(): Role {
    if (this.condition.alarm !== '' || this.#stopped !== undefined) return 'Stopped'
    if (this.session !== undefined) return 'Leading'
    return this.#succession.claims.outstanding ? 'Claiming' : 'Following'
  }

  /** The session of the epoch that this process leads. Throws UNAVAILABLE when there is none. */
  leading(): LeadSession<S, C, E> {
    if (this.#stopping) throw this.notLeading()
    this.condition.check()
    if (this.session === undefined) throw this.notLeading()
    return this.session
  }

  /** What callers are told while this process does not lead: who does, or that there is nobody. */
  notLeading(): RpcError {
    const { name } = this.context.definition
    if (this.#stopping && !this.#succession.several) return stopping(name)
    return notLeading(name, this.#succession.leader())
  }

  /** State that may be read; undefined while it is folded, or ahead of the log. */
  readable(): Partition<S, C, E> | undefined {
    this.condition.check()
    if (!this.#caughtUp || this.#leadership.refolding) return undefined
    const leader = this.session?.leader
    if (leader?.ahead !== true) return this.#tail.state
    if (leader.blocked !== undefined) throw leader.blocked
    return undefined
  }

  /** Whether this process leads exactly this claim and gets on with it. */
  serves(claim: string): boolean | undefined {
    const { definition, environment } = this.context
    if (!claim.startsWith(`${definition.name}/${environment.partition}/`)) return undefined
    return this.session?.serves(claim, this.#succession.appendTime.ms) ?? false
  }

  start(): Promise<void> {
    this.#tail.start()
    return this.#started.promise
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    this.#started.reject(stopping(this.context.definition.name))
    const { session } = this
    if (session !== undefined && this.condition.alarm === '') {
      session.quiesce()
      const snapshot = (): Promise<string> | undefined => {
        const state = this.readable()
        return state !== undefined && this.snapshots.news ? this.snapshots.write(state) : undefined
      }
      await stopGracefully({ session, changed: this.changed, snapshot })
    }
    await this.#close(this.notLeading())
  }

  async #close(error: Error): Promise<void> {
    this.#succession.close()
    this.#leadership.end(error, 'unknown')
    await this.#tail.close()
    this.changed.notify()
  }

  /** The partition cannot go on; the process does. */
  #fail(error: unknown): void {
    if (this.condition.alarm !== '' || this.#stopping) return
    const { state } = this.#tail
    this.condition.failed(error, state)
    const below = state !== undefined && !this.condition.mayLead(state)
    if (below) this.#started.reject(this.#levelTooLow(this.condition.alarm))
    else this.#started.reject(error instanceof Error ? error : new Error(String(error)))
    void this.#close(this.condition.error())
  }

  #levelTooLow(why: string): FeatureLevelError {
    const { name } = this.context.definition
    return new FeatureLevelError(`FEATURE_LEVEL_TOO_LOW: ${name}: ${why}`)
  }

  /** The state while this process may claim. */
  #candidate(): Partition<S, C, E> | undefined {
    const { state } = this.#tail
    const wanted = this.session === undefined && this.#caughtUp && !this.#stopping
    if (!wanted || state === undefined || this.condition.alarm !== '') return undefined
    return this.condition.mayLead(state) ? state : undefined
  }

  #onCaughtUp(state: Partition<S, C, E>, sinceMs: number): void {
    const first = !this.#caughtUp
    this.#caughtUp = true
    // A log that was restored from an older copy ends below what was seen: positions begin anew.
    this.#seenThrough = Math.min(this.#seenThrough, state.position)
    this.condition.look(state)
    this.#leadership.caughtUp(state)
    this.changed.notify()
    if (!this.condition.mayLead(state)) {
      this.#started.reject(this.#levelTooLow(this.condition.warning))
    }
    this.#succession.reachedEnd(state, { sinceMs, first })
  }

  #dropped(why: string): void {
    this.#caughtUp = false
    this.context.logger.log('info', 'the state is folded again', { why })
    // The commit in flight may be in the log already, or get there.
    if (!this.#leadership.refolding) this.#leadership.end(this.notLeading(), 'unknown')
    this.#succession.claims.forget()
  }

  /** Consequences of a record. True = drop the state and fold again. */
  #applied(record: LogRecord, applied: Applied<E>, state: Partition<S, C, E>): boolean {
    const { position } = record
    const seen = position <= this.#seenThrough
    this.#seenThrough = Math.max(this.#seenThrough, position)
    if (applied.kind === 'commit') {
      this.context.logClock.observe(applied.facts.atMs)
      this.context.traces?.folded(record.headers, applied.facts)
    }
    if (applied.kind === 'voided') return applied.isNew && applied.position < position
    if (seen || applied.kind === 'damaged') return false
    const { claims } = this.#succession
    if (applied.kind === 'skipped') {
      if (applied.claim !== undefined && claims.isOwn(applied.claim)) claims.forget()
      return false
    }
    this.#leadership.heard(this.context.ports.clock.monotonicMs())
    const live = position >= this.#tail.replayUntil
    if (applied.kind === 'commit') return this.#committed(position, applied, { state, live })
    const own = claims.isOwn(applied.claim)
    if (!own) this.#heardOfRival(applied, { state, live })
    if (this.session !== undefined) return this.#fenced()
    if (own) this.#won(applied.epoch, state)
    return false
  }

  #heardOfRival(
    record: Extract<Applied<E>, { kind: 'claim' | 'commit' }>,
    at: { state: Partition<S, C, E>; live: boolean },
  ): void {
    if (at.live) this.#leadership.rivalHeard()
    this.#succession.heard(record, at)
  }

  /**
   * Somebody else leads, or will: what this process thought ahead is worth nothing, and a copy of
   * its commit that lands behind this record is void.
   */
  #fenced(): true {
    this.#leadership.end(this.notLeading(), 'void')
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
    if (!own && this.session !== undefined) return this.#fenced()
    this.snapshots.folded(facts)
    this.observers.effective({ position, facts, events }, { state, replaying: !live })
    if (own) this.#readBack(position, applied, state)
    this.changed.notify()
    return false
  }

  #readBack(position: number, { facts }: Commit<E>, state: Partition<S, C, E>): void {
    if (this.session === undefined) return
    this.#leadership.readBack(position, facts, state)
    this.snapshots.writeIfDue(state)
    if (!this.#stopping) this.snapshots.tidyAfter(facts, state.framework)
    if (facts.kind === 'yield') this.#leadership.end(this.notLeading(), 'void')
    else this.session.leader.pump()
  }

  #won(epoch: number, state: Partition<S, C, E>): void {
    this.#succession.claims.forget()
    this.#leadership.begin(epoch, state.lastClaim.claimId)
    void this.snapshots.tidy(state.framework)
    this.#started.resolve()
  }
}
