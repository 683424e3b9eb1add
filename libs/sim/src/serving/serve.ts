import type { Latency } from './latency.ts'
import { Ledger } from './ledger.ts'
import { Replica } from './replica.ts'
import type { Requests } from './requests.ts'

/** What a controller sees at a tick. */
export interface ServingView {
  readonly nowMs: number
  /** Since the tick before. */
  readonly arrived: { readonly requests: number; readonly inputTokens: number }
  /** Requests (numbers) that ended since the tick before. */
  readonly ended: readonly number[]
  /** Held at the gate now. */
  readonly held: {
    readonly requests: number
    readonly tokens: number
    readonly oldestMs: number
  }
  /** Requests inside replicas, and prompt tokens that wait there. */
  readonly inFlight: number
  readonly waitingTokens: number
  readonly ready: number
  readonly draining: number
  /** For how long each has been starting, in milliseconds. */
  readonly startingMs: readonly number[]
  /** Start-ups that ended since the tick before, in milliseconds. */
  readonly startupsMs: readonly number[]
  /** Of every request so far. */
  readonly ledger: Ledger
}

/** Says how many replicas there should be, ready and starting together. */
export interface ServingController {
  wanted(view: ServingView): number
}

/** What {@link serve} takes. */
export interface ServeInit {
  readonly requests: Requests
  readonly latency: Latency
  readonly controller: ServingController
  /** Milliseconds of the n-th start-up, from 0; infinite: it never becomes ready. */
  readonly startupMs: (start: number) => number
  /** Replicas that are ready at 0. */
  readonly initial: number
  readonly tickMs: number
  /** From when to when devices are counted; requests are those that arrive between. */
  readonly fromMs: number
  readonly untilMs: number
  /** Things that happen at a tick, before the controller is asked. */
  readonly onTick?: (fleet: Fleet, nowMs: number) => void
}

/** What came of it. */
export interface ServeResult {
  readonly ledger: Ledger
  /** Replica time between `fromMs` and `untilMs`, start-up and draining included. */
  readonly replicaMs: number
  /** Starts and stops between `fromMs` and `untilMs`. */
  readonly starts: number
  readonly stops: number
  /** Wanted replicas at each tick. */
  readonly wanted: readonly number[]
  /** Ready replicas at each tick. */
  readonly ready: readonly number[]
}

/** After the end the fleet stays as it is for so long, to serve what is inside. */
const GRACE_MS = 600_000

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

  constructor(init: ServeInit) {
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

/** One run, event by event. */
class Run {
  readonly #init: ServeInit
  readonly #fleet: Fleet
  readonly #wanted: number[] = []
  readonly #ready: number[] = []
  #arrived = 0
  #seen = 0

  constructor(init: ServeInit) {
    this.#init = init
    this.#fleet = new Fleet(init)
  }

  run(): ServeResult {
    const { tickMs, untilMs, requests } = this.#init
    const fleet = this.#fleet
    const { arrivalMs } = requests
    let tickAt = 0
    const endMs = untilMs + GRACE_MS
    for (;;) {
      const arrivalAt = arrivalMs[this.#arrived] ?? Number.POSITIVE_INFINITY
      let nextAt = Math.min(arrivalAt, tickAt)
      let first: Replica | undefined
      for (const replica of fleet.replicas) {
        if (replica.nextMs < nextAt) {
          nextAt = replica.nextMs
          first = replica
        }
      }
      if (nextAt > endMs) break
      if (first !== undefined) fleet.due(first)
      else if (arrivalAt <= tickAt) {
        fleet.arrive(this.#arrived, arrivalAt)
        this.#arrived += 1
      } else {
        if (tickAt < untilMs) this.#tick(tickAt)
        tickAt = tickAt < untilMs ? tickAt + tickMs : Number.POSITIVE_INFINITY
      }
    }
    return this.#result()
  }

  #tick(nowMs: number): void {
    const fleet = this.#fleet
    this.#init.onTick?.(fleet, nowMs)
    const wanted = this.#init.controller.wanted(this.#view(nowMs))
    fleet.resize(wanted, nowMs)
    this.#wanted.push(wanted)
    this.#ready.push(fleet.count('ready'))
  }

  #view(nowMs: number): ServingView {
    const fleet = this.#fleet
    const { inputTokens } = this.#init.requests
    let tokens = 0
    for (let index = this.#seen; index < this.#arrived; index += 1) tokens += inputTokens[index]!
    const arrived = { requests: this.#arrived - this.#seen, inputTokens: tokens }
    this.#seen = this.#arrived
    let inFlight = 0
    let waitingTokens = 0
    for (const replica of fleet.replicas) {
      inFlight += replica.inFlight
      waitingTokens += replica.queuedTokens
    }
    const starting = fleet.replicas.filter((replica) => replica.phase === 'starting')
    return {
      nowMs,
      arrived,
      ended: fleet.ledger.takeEnded(),
      held: fleet.held,
      inFlight,
      waitingTokens,
      ready: fleet.count('ready'),
      draining: fleet.count('draining'),
      startingMs: starting.map((replica) => nowMs - replica.startedMs),
      startupsMs: fleet.takeStartups(),
      ledger: fleet.ledger,
    }
  }

  #result(): ServeResult {
    const { fromMs, untilMs } = this.#init
    const fleet = this.#fleet
    let replicaMs = 0
    let starts = 0
    let stops = 0
    for (const replica of [...fleet.past, ...fleet.replicas]) {
      const gone = Number.isNaN(replica.goneMs) ? untilMs : Math.min(untilMs, replica.goneMs)
      replicaMs += Math.max(0, gone - Math.max(fromMs, replica.startedMs))
      if (replica.startedMs >= fromMs && replica.startedMs > 0) starts += 1
      if (replica.goneMs >= fromMs && replica.goneMs < untilMs) stops += 1
    }
    const { ledger } = fleet
    return { ledger, replicaMs, starts, stops, wanted: this.#wanted, ready: this.#ready }
  }
}

/**
 * Serves requests by a fleet of replicas that a controller resizes: one gate that routes to the
 * least loaded ready replica and holds what none may take; start-up; draining. Discrete events,
 * the same result for the same input.
 */
export function serve(init: ServeInit): ServeResult {
  return new Run(init).run()
}
