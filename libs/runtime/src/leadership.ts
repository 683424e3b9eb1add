/** Whether this process leads, and everything that begins and ends with that. */
import type { LogAddress } from '@serverless-ai/eventlog'
import type { Message, RpcError } from '@serverless-ai/kernel'
import { Composer } from './composer.ts'
import type { RuntimeContext } from './context.ts'
import type { CommitFacts } from './facts.ts'
import { Heartbeat } from './heartbeat.ts'
import { LeadSession } from './lead-session.ts'
import { type InFlightFate, Leader } from './leader.ts'
import type { Partition } from './partition.ts'
import { claimName } from './standby.ts'

/** What leading needs from the life of its partition. */
export interface LeadershipHost<S, C extends Message, E extends Message> {
  readonly address: LogAddress
  /** More than one replica is configured. */
  readonly several: boolean
  /** The folded state; undefined while it is loaded. */
  state(): Partition<S, C, E> | undefined
  /** Drops the state and folds it again. `why` is for people. */
  refold(why: string): void
  /** An append was acknowledged after so many ms. */
  appendTook(ms: number): void
  /** What callers are told while this process does not lead. */
  notLeading(): RpcError
  /** It was won or lost. */
  told(leading: boolean, epoch: number): void
  /** Something that a waiter may wait for has changed. */
  changed(): void
  /** The partition cannot go on. */
  fail(error: unknown): void
}

export class Leadership<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: LeadershipHost<S, C, E>
  readonly #composer: Composer<S, C, E>
  readonly #heartbeat: Heartbeat<S, C, E>
  #session: LeadSession<S, C, E> | undefined
  #refolding = false

  constructor(context: RuntimeContext<S, C, E>, host: LeadershipHost<S, C, E>) {
    this.#context = context
    this.#host = host
    const { definition, ports, logger, environment } = context
    const { randomness, clock } = ports
    const { observer } = environment
    const newLogLevel = Math.min(context.level, context.options.newLogLevel)
    const parts = { definition, randomness, clock, logger, observer }
    this.#composer = new Composer({ ...parts, newLogLevel })
    this.#heartbeat = new Heartbeat(ports, host.several)
  }

  /** The epoch that this process leads; undefined = it does not. */
  get session(): LeadSession<S, C, E> | undefined {
    return this.#session
  }

  /** The leader's state was spoiled and is folded again, while it goes on leading. */
  get refolding(): boolean {
    return this.#refolding
  }

  /** An effective record was read. */
  heard(nowMs: number): void {
    this.#heartbeat.heard(nowMs)
  }

  /** A new record of somebody else was read. */
  rivalHeard(): void {
    this.#heartbeat.rivalHeard()
  }

  /** The own claim was read as effective. */
  begin(epoch: number, claimId: string): void {
    const { definition, environment, logger } = this.#context
    const { address, appendTook, notLeading, changed, fail } = this.#host
    // Half a fold is no state: what is not in it yet must not look settled or cancelled.
    const state = () => (this.#refolding ? undefined : this.#host.state())
    const leader = new Leader<S, C, E>(
      {
        context: this.#context,
        composer: this.#composer,
        address,
        state,
        openMarks: () => this.#session?.openMarks() ?? [],
        refold: () => {
          this.#refolding = true
          this.#host.refold('events could not be applied')
        },
        appendTook,
        nothingToDo: changed,
        fail,
      },
      epoch,
    )
    const claim = claimName(definition.name, environment.partition, { epoch, claimId })
    const session = new LeadSession(this.#context, leader, { state, claim, lost: notLeading })
    this.#session = session
    session.start()
    this.#heartbeat.start(session)
    logger.log('info', 'leads', { epoch })
    this.#host.told(true, epoch)
    changed()
  }

  /** The own commit in flight was read as effective. */
  readBack(position: number, facts: CommitFacts, state: Partition<S, C, E>): void {
    this.#session?.leader.readBack(position, state.framework.publicSeq)
    this.#session?.onCommit(facts)
  }

  /** The state is folded to the end of the log. */
  caughtUp({ arbitration }: Partition<S, C, E>): void {
    if (!this.#refolding) return
    this.#refolding = false
    const leads = arbitration.open && arbitration.epoch === this.#session?.leader.epoch
    if (leads) this.#session?.resumed()
    else this.end(this.#host.notLeading(), 'void')
  }

  /**
   * This process does not lead any more. What waits was not carried out and gets `error`; callers
   * of the commit in flight get it only where that one is certainly void.
   */
  end(error: Error, inFlight: InFlightFate): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    this.#refolding = false
    this.#heartbeat.stop()
    session.leader.close(error, inFlight)
    this.#host.told(false, session.leader.epoch)
    this.#host.changed()
  }
}
