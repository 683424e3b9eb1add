/** The replicas of one service as this gateway sees them, and which of them gets a request. */
import type { GateRequest } from './fair-queue.ts'

/** A replica of the route table. */
export interface ReplicaRoute {
  readonly gang: number
  readonly generation: number
  /** `host:port` of rank 0. */
  readonly address: string
  /** New requests may go there. */
  readonly ready: boolean
  /** Ends what it has, gets nothing new. */
  readonly draining: boolean
}

/** What a replica takes at once. */
export interface ReplicaLimits {
  /** Requests. */
  readonly concurrency: number
  /** Tokens; 0 = no limit. A single request above it goes alone. */
  readonly tokens: number
}

/** A replica with what this gateway has there. */
export interface Replica {
  readonly key: string
  route: ReplicaRoute
  inFlight: number
  tokens: number
  /** Failures in a row to connect to it. */
  failures: number
  /** Nothing new goes there before this time, monotonic ms. */
  suspectUntilMs: number
  /** Not in the route table any more. */
  gone: boolean
}

const SUSPECT_MS = 100
const SUSPECT_MAX_MS = 5_000

export const replicaKey = ({ gang, generation, address }: ReplicaRoute): string =>
  `${gang}/${generation}@${address}`

/** FNV-1a, 32 bit: spreads sessions over replicas the same way in every gateway. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  }
  // A last mix: the keys differ in their ends only.
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}

/** Least loaded first; a session goes to its own replica while that one has room. */
export class Replicas {
  #limits: ReplicaLimits
  readonly #all = new Map<string, Replica>()
  #turn = 0

  constructor(limits: ReplicaLimits) {
    this.#limits = limits
  }

  get list(): readonly Replica[] {
    return [...this.#all.values()]
  }

  get inFlight(): number {
    let sum = 0
    for (const { inFlight } of this.#all.values()) sum += inFlight
    return sum
  }

  /** Some replica may get requests, now or when it has room again. */
  get any(): boolean {
    for (const { route } of this.#all.values()) if (route.ready && !route.draining) return true
    return false
  }

  limit(limits: ReplicaLimits): void {
    this.#limits = limits
  }

  /** Takes over the routes of the table; what is not in it any more ends with its last request. */
  replace(routes: readonly ReplicaRoute[]): void {
    const keys = new Set(routes.map(replicaKey))
    for (const replica of this.#all.values()) {
      if (keys.has(replica.key)) continue
      replica.gone = true
      replica.route = { ...replica.route, ready: false }
      if (replica.inFlight === 0) this.#all.delete(replica.key)
    }
    for (const route of routes) {
      const key = replicaKey(route)
      const known = this.#all.get(key)
      if (known === undefined) {
        const fresh = { inFlight: 0, tokens: 0, failures: 0, suspectUntilMs: 0, gone: false }
        this.#all.set(key, { key, route, ...fresh })
        continue
      }
      // It was asked again and is well.
      if (route.ready && !known.route.ready) known.suspectUntilMs = 0
      known.route = route
      known.gone = false
    }
  }

  /** The replica for a request, if one has room. `avoid`: keys that failed it before. */
  pick(request: GateRequest, nowMs: number, avoid?: ReadonlySet<string>): Replica | undefined {
    const open = this.#open(request, nowMs, avoid)
    const own = request.affinity === '' ? undefined : this.#ownOf(request.affinity, avoid)
    if (own !== undefined && open.includes(own)) return own
    this.#turn += 1
    let best: Replica | undefined
    for (let step = 0; step < open.length; step += 1) {
      const each = open[(this.#turn + step) % open.length]!
      if (best === undefined || isLighter(each, best)) best = each
    }
    return best
  }

  /** A request goes there. */
  take(replica: Replica, request: GateRequest): void {
    replica.inFlight += 1
    replica.tokens += request.tokens
  }

  /** A request has left it. */
  release(replica: Replica, request: GateRequest): void {
    replica.inFlight -= 1
    replica.tokens -= request.tokens
    if (replica.gone && replica.inFlight === 0) this.#all.delete(replica.key)
  }

  /** It could not be reached: others come first for a while, or the fastest to fail gets all. */
  suspect(replica: Replica, nowMs: number): number {
    replica.failures = Math.min(replica.failures + 1, 16)
    const pauseMs = Math.min(SUSPECT_MS * (1 << (replica.failures - 1)), SUSPECT_MAX_MS)
    replica.suspectUntilMs = nowMs + pauseMs
    return pauseMs
  }

  /** It answered. */
  answered(replica: Replica): void {
    replica.failures = 0
    replica.suspectUntilMs = 0
  }

  #open(request: GateRequest, nowMs: number, avoid?: ReadonlySet<string>): Replica[] {
    const open: Replica[] = []
    for (const replica of this.#all.values()) {
      const { route, inFlight, tokens, suspectUntilMs, key } = replica
      if (!route.ready || route.draining || suspectUntilMs > nowMs || avoid?.has(key)) continue
      if (inFlight >= this.#limits.concurrency) continue
      const over = this.#limits.tokens > 0 && tokens + request.tokens > this.#limits.tokens
      if (!over || inFlight === 0) open.push(replica)
    }
    return open
  }

  /** Rendezvous hashing (Thaler and Ravishankar 1998): a replica that goes moves its own alone. */
  #ownOf(affinity: string, avoid?: ReadonlySet<string>): Replica | undefined {
    let best: Replica | undefined
    let most = -1
    for (const replica of this.#all.values()) {
      if (!replica.route.ready || replica.route.draining || avoid?.has(replica.key)) continue
      const weight = hash(`${affinity}\n${replica.key}`)
      if (weight <= most) continue
      best = replica
      most = weight
    }
    return best
  }
}

const isLighter = (a: Replica, b: Replica): boolean =>
  a.inFlight < b.inFlight || (a.inFlight === b.inFlight && a.tokens < b.tokens)
