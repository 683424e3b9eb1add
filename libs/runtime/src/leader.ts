/** Leading a partition for one epoch: one commit in flight, the next batch gathers meanwhile. */
import { AppendRefusedError, type LogAddress } from '@serverless-ai/eventlog'
import { invariant, type Message, type RpcError, type Timer } from '@serverless-ai/kernel'
import { encodeFacts } from './codec.ts'
import type { Composer } from './composer.ts'
import type { RuntimeContext } from './context.ts'
import type { Draft } from './draft.ts'
import { errorText, logBlocked, outcomeUnknown } from './errors.ts'
import type { Mark } from './facts.ts'
import type { Item } from './items.ts'
import { Mailbox } from './mailbox.ts'
import type { OwnCommit, Partition } from './partition.ts'

/** First pause before the identical bytes are appended again, ms; doubles. */
const APPEND_RETRY_MS = 50
const APPEND_RETRY_MAX_MS = 2000

/**
 * So long do inputs and outcomes of effects wait for more of their kind, or for a commit that is
 * made anyway, ms. A chain of services that react to each other takes so much longer at each link,
 * and the answer to a caller does not queue behind the commits of all who heard of its command.
 */
export const LINGER_MS = 4

/** The commit that was appended and not read back yet. */
export interface InFlight<C extends Message, E extends Message> {
  readonly own: OwnCommit<E>
  readonly draft: Draft<C, E>
  readonly sinceMs: number
}

/** What is known of the commit in flight when an epoch ends: it can never count, or nothing. */
export type InFlightFate = 'void' | 'unknown'

/** What a leader needs from its runtime. */
export interface LeaderHost<S, C extends Message, E extends Message> {
  readonly context: RuntimeContext<S, C, E>
  readonly composer: Composer<S, C, E>
  readonly address: LogAddress
  /** The folded state; undefined while it is being folded again. */
  state(): Partition<S, C, E> | undefined
  /** Marks of inputs that were taken without a decision since the last commit. */
  openMarks(): readonly Mark[]
  /** The state is spoiled: fold it again, then call `pump`. */
  refold(): void
  /** An append was acknowledged after so many ms. */
  appendTook(ms: number): void
  /** What waited turned out to need no commit. */
  nothingToDo(): void
  /** The log was closed under the runtime, or a bug: the partition has to stop. */
  fail(error: unknown): void
}

/** One epoch of leading. */
export class Leader<S, C extends Message, E extends Message> {
  readonly epoch: number
  readonly mailbox = new Mailbox<C>()
  /** Set while the log refuses appends. */
  blocked: RpcError | undefined
  readonly #host: LeaderHost<S, C, E>
  readonly #abort = new AbortController()
  #inFlight: InFlight<C, E> | undefined
  #scheduled = false
  #patience: Timer | undefined
  #lingering: Timer | undefined

  constructor(host: LeaderHost<S, C, E>, epoch: number) {
    this.#host = host
    this.epoch = epoch
  }

  get inFlight(): InFlight<C, E> | undefined {
    return this.#inFlight
  }

  /** True while reads would see events that may turn out void. */
  get ahead(): boolean {
    return this.#inFlight !== undefined && this.#inFlight.draft.eventCount > 0
  }

  /** Aborted when this epoch ends for this process. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  submit(item: Item<C>, error: () => Error): void {
    if (this.signal.aborted) {
      item.onLost(error())
      return
    }
    if (item.kind === 'confirm' && item.withinMs !== undefined) {
      this.#wait(item, item.withinMs)
      return
    }
    this.mailbox.push(item)
    this.pump()
  }

  #linger(): void {
    this.#lingering ??= this.#host.context.ports.timers.after(LINGER_MS, () => {
      this.#lingering = undefined
      this.mailbox.urge()
      this.pump()
    })
  }

  /** The first that waits for a commit of others, and has waited long enough, makes one for all. */
  #wait(item: Item<C>, withinMs: number): void {
    this.mailbox.pushPatient(item)
    this.#patience ??= this.#host.context.ports.timers.after(withinMs, () => {
      this.#patience = undefined
      this.mailbox.hurry()
      this.pump()
    })
  }

  #endWaiting(): void {
    this.#patience?.cancel()
    this.#patience = undefined
    this.#lingering?.cancel()
    this.#lingering = undefined
  }

  /**
   * Starts the next batch in the next turn, so that what arrives together is committed together;
   * what lingers alone starts it later.
   */
  pump(): void {
    if (this.signal.aborted) return
    if (this.mailbox.lingers && !this.#host.composer.owed) {
      this.#linger()
      return
    }
    if (this.#scheduled || this.#inFlight !== undefined) return
    this.#scheduled = true
    const { timers } = this.#host.context.ports
    timers.yieldTurn().then(
      () => {
        this.#scheduled = false
        try {
          this.#startBatch()
        } catch (error) {
          this.#host.fail(error)
        }
      },
      (error) => this.#host.fail(error),
    )
  }

  #startBatch(): void {
    const state = this.#host.state()
    if (this.signal.aborted || this.#inFlight !== undefined || state === undefined) return
    const { composer, context } = this.#host
    if (this.mailbox.empty && !composer.owed) return
    const now = { atMs: context.logClock.nowMs(), marks: this.#host.openMarks() }
    const composition = composer.compose(state, this.mailbox, now)
    if (composition.kind === 'spoiled') {
      this.mailbox.unshift(composition.taken)
      this.#host.refold()
      return
    }
    const { draft } = composition
    if (draft.empty && draft.wanted === 'normal') {
      if (this.mailbox.empty) this.#host.nothingToDo()
      else this.pump()
      return
    }
    const { epoch, open, nextSequence, chain } = state.arbitration
    invariant(open && epoch === this.epoch, `epoch ${this.epoch} is over, ${epoch} is read`)
    const commitId = context.ports.randomness.bytes(16)
    const facts = draft.finish({ commitId, epoch, sequence: nextSequence })
    const own: OwnCommit<E> = { ...encodeFacts(facts, chain), domain: draft.domain }
    const flight = { own, draft, sinceMs: context.ports.clock.monotonicMs() }
    this.#inFlight = flight
    this.#endWaiting()
    void this.#append(flight)
  }

  /**
   * Appends the identical bytes until they, or a higher claim, are read: an unknown outcome never
   * frees the sequence for other content.
   */
  async #append(flight: InFlight<C, E>): Promise<void> {
    const { eventLog } = this.#host.context.environment
    const { clock, timers } = this.#host.context.ports
    const { own, draft } = flight
    const headers = this.#host.context.traces?.headersOf(own.facts, draft.traced) ?? {}
    const entries = [{ key: '', headers, value: own.bytes }]
    for (let pauseMs = APPEND_RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, APPEND_RETRY_MAX_MS)) {
      const startMs = clock.monotonicMs()
      try {
        await eventLog.append(this.#host.address, entries)
        this.#host.appendTook(clock.monotonicMs() - startMs)
        return
      } catch (error) {
        if (this.#inFlight !== flight || this.signal.aborted) return
        this.#notAppended(flight, error)
      }
      try {
        await timers.sleep(pauseMs, this.signal)
      } catch {
        return
      }
      if (this.#inFlight !== flight) return
    }
  }

  #notAppended(flight: InFlight<C, E>, error: unknown): void {
    const { logger, definition, environment } = this.#host.context
    environment.observer?.appendRepeated()
    logger.log('warn', 'an append has to be repeated', { error: errorText(error) })
    if (!(error instanceof AppendRefusedError)) return
    if (error.code === 'CLOSED') {
      this.#host.fail(error)
      return
    }
    // Callers are told at once instead of waiting for space; the commit itself stays in flight.
    this.blocked = logBlocked(definition.name, error)
    this.#rejectCallers(flight.draft.taken, this.blocked)
    const waiting = this.mailbox.drain()
    this.#rejectCallers(waiting, this.blocked)
    for (const item of waiting) if (item.kind !== 'command') this.mailbox.push(item)
  }

  #rejectCallers(items: readonly Item<C>[], error: Error): void {
    for (const item of items) {
      if (item.kind !== 'command') continue
      for (const waiter of item.waiters.splice(0)) waiter.reject(error)
    }
  }

  /** The commit in flight was read back as effective. */
  readBack(position: number, publicSeq: number): void {
    const flight = this.#inFlight
    this.#inFlight = undefined
    this.blocked = undefined
    if (flight !== undefined) this.#observe(flight)
    for (const release of flight?.draft.releases ?? []) release({ position, publicSeq })
  }

  #observe({ own, draft, sinceMs }: InFlight<C, E>): void {
    const { environment, ports } = this.#host.context
    environment.observer?.committed({
      kind: own.facts.kind,
      items: draft.taken.length,
      events: draft.eventCount,
      bytes: own.bytes.byteLength,
      latencyMs: ports.clock.monotonicMs() - sinceMs,
    })
  }

  /**
   * The epoch is over for this process. What waits can never be committed by it and is lost with
   * `error`; so is the commit in flight if it is void. Otherwise it is read later, or never, and
   * nobody here will know to whom it belonged.
   */
  close(error: Error, inFlight: InFlightFate): void {
    if (this.signal.aborted) return
    this.#abort.abort(error)
    this.#endWaiting()
    const flight = this.#inFlight
    this.#inFlight = undefined
    const fate = inFlight === 'void' ? error : outcomeUnknown(this.#host.context.definition.name)
    for (const item of flight?.draft.taken ?? []) item.onLost(fate)
    for (const item of this.mailbox.drain()) item.onLost(error)
  }
}
