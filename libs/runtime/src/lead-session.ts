import type { Message } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { Effects } from './effects.ts'
import type { CommitFacts, Mark } from './facts.ts'
import { InputReader } from './inputs.ts'
import type { Item } from './items.ts'
import type { Leader } from './leader.ts'
import type { Partition } from './partition.ts'
import { Publisher } from './publisher.ts'
import type { Session, SessionPart } from './session.ts'
import { StateTimers } from './state-timers.ts'

/** A leader whose commit is in flight for longer does not serve, ms; or four append times. */
const IN_FLIGHT_MS = 4000

/** What is still taken while an epoch is brought to its end; ticks show that it goes on. */
const ENDING: ReadonlySet<Item<Message>['kind']> = new Set(['fact', 'confirm', 'yield'])

/** Everything that lives exactly as long as this process leads one epoch. */
export class LeadSession<S, C extends Message, E extends Message> implements Session<S, C, E> {
  readonly context: RuntimeContext<S, C, E>
  readonly partition: number
  readonly leader: Leader<S, C, E>
  /** See `claimName`. */
  readonly claim: string
  readonly publisher: Publisher<S, C, E>
  readonly #inputs: readonly InputReader<S, C, E>[]
  readonly #parts: readonly SessionPart[]
  readonly #host: { state(): Partition<S, C, E> | undefined; lost(): Error }
  #quiet = false

  constructor(
    context: RuntimeContext<S, C, E>,
    leader: Leader<S, C, E>,
    host: { state(): Partition<S, C, E> | undefined; claim: string; lost(): Error },
  ) {
    this.context = context
    this.partition = context.environment.partition
    this.leader = leader
    this.claim = host.claim
    this.#host = host
    this.publisher = new Publisher(this)
    this.#inputs = context.definition.inputs.map((source) => new InputReader(this, source))
    this.#parts = [this.publisher, new Effects(this), new StateTimers(this), ...this.#inputs]
  }

  get signal(): AbortSignal {
    return this.leader.signal
  }

  start(): void {
    for (const part of this.#parts) part.start()
  }

  onCommit(facts: CommitFacts): void {
    for (const part of this.#parts) part.onCommit?.(facts)
  }

  state(): Partition<S, C, E> | undefined {
    return this.#host.state()
  }

  /** The state was folded again and is there again. */
  resumed(): void {
    this.publisher.kick()
    this.leader.pump()
  }

  /** From now on nothing new is taken but what ends the epoch. */
  quiesce(): void {
    this.#quiet = true
  }

  submit(item: Item<C>): void {
    if (this.#quiet && !ENDING.has(item.kind)) item.onLost(this.#host.lost())
    else this.leader.submit(item, () => this.#host.lost())
  }

  /** Does it lead exactly this claim, and get on with it? `appendMs`: typical time of an append. */
  serves(claim: string, appendMs: number): boolean {
    const { inFlight } = this.leader
    if (claim !== this.claim || this.signal.aborted) return false
    if (inFlight === undefined) return true
    const ageMs = this.context.ports.clock.monotonicMs() - inFlight.sinceMs
    return ageMs < Math.max(IN_FLIGHT_MS, 4 * appendMs)
  }

  openMarks(): readonly Mark[] {
    if (this.#inputs.length === 0) return []
    return this.#inputs.map((input) => input.openMark()).filter((mark) => mark !== undefined)
  }

  markWanted(source: string, seq: number): void {
    for (const input of this.#inputs) if (input.service === source) input.wanted(seq)
  }
}
