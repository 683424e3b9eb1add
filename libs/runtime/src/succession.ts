/** Who leads next, as far as this process has a say: claims, and when to make them. */
import type { LogAddress } from '@serverless-ai/eventlog'
import type { Message } from '@serverless-ai/kernel'
import { AppendTime } from './append-time.ts'
import { Claims } from './claims.ts'
import { IDLE_FETCH_MS, type RuntimeContext } from './context.ts'
import { LeaderWatch, type Question } from './leader-watch.ts'
import type { Applied, Partition } from './partition.ts'
import { claimName, hangMs, Standby } from './standby.ts'

/** A wall clock that is further from the log is reported, and claims last, ms. */
const CLOCK_DIFFERENCE_MS = 5000

/** What it needs from its runtime. */
export interface SuccessionHost<S, C extends Message, E extends Message> {
  readonly address: LogAddress
  /** The folded state; undefined while it is folded again. */
  state(): Partition<S, C, E> | undefined
  /** The same, while it is folded to the end and this process may claim; else undefined. */
  candidate(): Partition<S, C, E> | undefined
  /** Another process leads: a new record of it was read, or its health says so. Called once. */
  leaderSeen(): void
  logClosed(error: Error): void
}

/** An effective claim or commit that is new to this process. */
type NewRecord<E> = Extract<Applied<E>, { kind: 'claim' | 'commit' }>

export class Succession<S, C extends Message, E extends Message> {
  readonly appendTime = new AppendTime()
  readonly claims: Claims<S, C, E>
  /** More than one replica is configured. */
  readonly several: boolean
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: SuccessionHost<S, C, E>
  /** Undefined where there is nobody else. */
  readonly #standby: Standby | undefined
  readonly #watch: LeaderWatch<S, C, E> | undefined
  #clockTold = false
  #leaderTold = false

  constructor(context: RuntimeContext<S, C, E>, host: SuccessionHost<S, C, E>) {
    this.#context = context
    this.#host = host
    const { replica, replicas = [replica], partition } = context.environment
    this.several = replicas.length > 1
    if (this.several) {
      this.#standby = new Standby({ partition, replica, replicas }, this.appendTime)
      this.#watch = new LeaderWatch(context, this.#standby, {
        question: () => this.#question(),
        answered: (answer) => {
          if (answer === 'serving') this.#leaderSeen()
          this.claims.consider()
        },
      })
    }
    this.claims = new Claims(context, {
      address: host.address,
      appendTime: this.appendTime,
      nextEpoch: () => {
        const state = host.candidate()
        return state === undefined ? undefined : state.arbitration.epoch + 1
      },
      claimAtMs: () => this.#standby?.claimAtMs(this.#nowMs()) ?? 0,
      logClosed: host.logClosed,
    })
  }

  #nowMs(): number {
    return this.#context.ports.clock.monotonicMs()
  }

  /** An effective claim or commit of another process; `live` = it is no history. */
  heard(record: NewRecord<E>, at: { state: Partition<S, C, E>; live: boolean }): void {
    const { state, live } = at
    if (live && this.#standby === undefined) this.claims.delay(hangMs(this.appendTime.ms))
    this.#standby?.heard(record.kind, this.#nowMs())
    if (!live) return
    this.#follow(state)
    if (record.kind === 'commit') this.#compareClock(record.facts.atMs)
    if (state.arbitration.open) this.#leaderSeen()
  }

  #leaderSeen(): void {
    if (this.#leaderTold) return
    this.#leaderTold = true
    this.#host.leaderSeen()
  }

  #follow(state: Partition<S, C, E>): void {
    const before = this.#standby?.followed
    this.#standby?.follow(followedBy(state), this.#nowMs())
    if (before !== this.#standby?.followed) this.#watch?.changed()
  }

  /** The log held nothing more at `sinceMs`; `first` = for the first time since it was loaded. */
  reachedEnd(state: Partition<S, C, E>, at: { sinceMs: number; first: boolean }): void {
    if (at.first) {
      this.#standby?.caughtUp(followedBy(state), this.#nowMs())
      // An old record tells nothing of a clock that is ahead.
      this.#compareClock(Math.max(state.framework.lastAtMs, this.#context.ports.clock.wallMs()))
    }
    this.#standby?.reachedEnd(at.sinceMs, this.#nowMs())
    this.#watch?.start()
    this.claims.consider()
  }

  /** How long a fetch may wait for more, ms. */
  fetchMs(): number {
    if (this.#standby === undefined || this.#host.candidate() === undefined) return IDLE_FETCH_MS
    return Math.min(IDLE_FETCH_MS, this.#standby.fetchMs(this.#nowMs()))
  }

  /** The present leader, as far as is known, for those who asked the wrong process. */
  leader(): { readonly replica: string; readonly address: string } {
    const framework = this.#host.state()?.framework
    const { replica } = this.#context.environment
    // The own name there is of an earlier life of this replica, or it is about to stop.
    const gone = this.#standby?.leaderGone === true || framework?.leader === replica
    if (framework === undefined || gone) return { replica: '', address: '' }
    return { replica: framework.leader, address: framework.leaderAddress }
  }

  #question(): Question | undefined {
    const state = this.#host.candidate()
    if (state?.arbitration.open !== true) return undefined
    const { address, claimId } = state.lastClaim
    // Not known: the snapshot is of a version that did not keep it. Silence tells.
    if (claimId === '') return undefined
    const { definition, environment } = this.#context
    const { epoch } = state.arbitration
    return { address, claim: claimName(definition.name, environment.partition, { epoch, claimId }) }
  }

  #compareClock(atMs: number): void {
    const aheadMs = atMs - this.#context.ports.clock.wallMs()
    const differs = Math.abs(aheadMs) > CLOCK_DIFFERENCE_MS
    if (this.#standby !== undefined) this.#standby.clockDiffers = differs
    if (!differs || this.#clockTold) return
    this.#clockTold = true
    const message = `the wall clock is ${aheadMs > 0 ? 'behind' : 'ahead of'} the log`
    this.#context.logger.log('warn', message, { aheadMs })
  }

  close(): void {
    this.claims.close()
    this.#watch?.close()
  }
}

function followedBy<S, C extends Message, E extends Message>({
  arbitration,
  lastClaim,
}: Partition<S, C, E>): { epoch: number; open: boolean; replica: string } {
  const { epoch, open } = arbitration
  return { epoch, open, replica: lastClaim.replica }
}
