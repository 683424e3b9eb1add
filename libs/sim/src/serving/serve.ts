import { Fleet, type FleetInit } from './fleet.ts'
import type { Ledger } from './ledger.ts'
import type { Replica } from './replica.ts'

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
export interface ServeInit extends FleetInit {
  readonly controller: ServingController
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
