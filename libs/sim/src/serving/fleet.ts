import type { Latency } from './latency.ts'
import { Ledger } from './ledger.ts'
import { Replica } from './replica.ts'
import type { Requests } from './requests.ts'

/** What a {@link Fleet} is made with. */
export interface FleetInit {
  readonly requests: Requests
  readonly latency: Latency
  /** Milliseconds of the n-th start-up, from 0; infinite: it never becomes ready. */
  readonly startupMs: (start: number) => number
  /** Replicas that are ready at 0. */
  readonly initial: number
}

/** The replicas behind one gate. */
export class Fleet {
  readonly replicas: Replica[] = []
  /** Those that are gone. */
  readonly past: Replica[] = []
  readonly ledger: Ledger
  readonly #latency: Latency
  readonly #startupMs: (start: number) => number
  #starts = 0
  #startups: number[] = []
  #held: number[] = []
  #heldFrom = 0
  #heldTokens = 0

  constructor(init: FleetInit) {
    this.ledger = new Ledger(init.requests)
    this.#latency = init.latency
    this.#startupMs = init.startupMs
    for (let index = 0; index < init.initial; index += 1) {
      const replica = new Replica(this.#latency, this.ledger, 0)
      replica.phase = 'ready'
      replica.readyMs = 0
      this.replicas.push(replica)
    }
  }

  count(phase: Replica['phase']): number {
    let count = 0
    for (const replica of this.replicas) if (replica.phase === phase) count += 1
    return count
  }

  get held() {
    const requests = this.#held.length - this.#heldFrom
    const oldest = this.#held[this.#heldFrom]
    const oldestMs = oldest === undefined ? Number.NaN : this.#arrivalMs(oldest)
    return { requests, tokens: this.#heldTokens, oldestMs }
  }

  takeStartups(): readonly number[] {
    const startups = this.#startups
    this.#startups = []
    return startups
  }

  arrive(request: number, nowMs: number): void {
    const { inputTokens } = this.ledger.requests
    if (this.held.requests === 0 && this.#route(request, nowMs)) return
    this.#held.push(request)
    this.#heldTokens += inputTokens[request]!
  }

  /** Hands on what is held, oldest first. */
  forward(nowMs: number): void {
    while (this.#heldFrom < this.#held.length) {
      const request = this.#held[this.#heldFrom]!
      if (!this.#route(request, nowMs)) return
      this.#heldFrom += 1
      this.#heldTokens -= this.ledger.requests.inputTokens[request]!
      if (this.#heldFrom > 1_000 && this.#heldFrom * 2 > this.#held.length) {
        this.#held = this.#held.slice(this.#heldFrom)
        this.#heldFrom = 0
      }
    }
  }

  /** Starts or stops replicas until ready and starting ones are `wanted`. */
  resize(wanted: number, nowMs: number): void {
    let have = this.count('ready') + this.count('starting')
    for (; have < wanted; have += 1) this.#start(nowMs)
    for (; have > wanted; have -= 1) this.#stop(nowMs)
  }

  /** What is due at `nowMs` of a replica: its start-up or its iterations. */
  due(replica: Replica): void {
    const nowMs = replica.nextMs
    if (replica.phase === 'starting') {
      replica.phase = 'ready'
      replica.readyMs = nowMs
      replica.nextMs = Number.POSITIVE_INFINITY
      this.#startups.push(nowMs - replica.startedMs)
      this.forward(nowMs)
      return
    }
    replica.advance()
    if (replica.phase === 'draining' && replica.inFlight === 0) this.#gone(replica, nowMs)
    else if (this.held.requests > 0) this.forward(nowMs)
  }

  /** A replica dies; what was inside comes again to the gate. */
  kill(replica: Replica, nowMs: number): void {
    const lost = replica.abandon()
    this.#gone(replica, nowMs)
    for (const request of lost) this.arrive(request, nowMs)
  }

  #arrivalMs(request: number): number {
    return this.ledger.requests.arrivalMs[request]!
  }

  #route(request: number, nowMs: number): boolean {
    const { inputTokens, outputTokens } = this.ledger.requests
    const tokens = inputTokens[request]! + outputTokens[request]!
    let best: Replica | undefined
    for (const replica of this.replicas) {
      if (replica.takes(tokens) && (best === undefined || replica.load < best.load)) best = replica
    }
    best?.accept(request, nowMs)
    return best !== undefined
  }

  #start(nowMs: number): void {
    const replica = new Replica(this.#latency, this.ledger, nowMs)
    replica.nextMs = nowMs + this.#startupMs(this.#starts)
    this.#starts += 1
    this.replicas.push(replica)
  }

  /** The youngest that is starting, else the least loaded, which drains. */
  #stop(nowMs: number): void {
    const starting = this.replicas.findLast((replica) => replica.phase === 'starting')
    if (starting !== undefined) {
      this.#gone(starting, nowMs)
      return
    }
    let least: Replica | undefined
    for (const replica of this.replicas) {
      const lower = least === undefined || replica.load < least.load
      if (replica.phase === 'ready' && lower) least = replica
    }
    if (least === undefined) return
    least.phase = 'draining'
    if (least.inFlight === 0) this.#gone(least, nowMs)
  }

  #gone(replica: Replica, nowMs: number): void {
    replica.phase = 'gone'
    replica.goneMs = nowMs
    replica.nextMs = Number.POSITIVE_INFINITY
    this.replicas.splice(this.replicas.indexOf(replica), 1)
    this.past.push(replica)
  }
}
