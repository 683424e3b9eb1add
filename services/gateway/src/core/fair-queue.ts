/** Requests that are held: by class in strict order, inside a class fairly between tenants. */

/** A request at the gate. */
export interface GateRequest {
  /** Unique at this gate. */
  readonly id: number
  readonly tenant: string
  /** 0 = the highest class. */
  readonly rank: number
  /** Estimated cost: tokens where they are known, else 1. Above 0. */
  readonly cost: number
  /** Tokens it takes of a replica's token limit; 0 = unknown. */
  readonly tokens: number
  readonly arrivedMs: number
  /** Requests with the same key go to one replica while it can take them. Empty = any. */
  readonly affinity: string
}

/** How many requests may be held. */
export interface QueueLimits {
  /** Of one tenant in one class. */
  readonly perTenant: number
  /** In all. */
  readonly total: number
}

/** What became of a request that had to wait. */
export type Held =
  | { readonly at: 'Held'; readonly evicted: GateRequest | undefined }
  | { readonly at: 'Refused'; readonly reason: 'TENANT_QUEUE_FULL' | 'SERVICE_QUEUE_FULL' }

interface Tenant {
  /** Weighted cost that was given to it: the start tag of its next request. */
  served: number
  readonly byRank: Map<number, Map<number, GateRequest>>
}

/** Maps keep the order of insertion: puts a request before all others. */
function setFirst(requests: Map<number, GateRequest>, request: GateRequest): void {
  const others = [...requests]
  requests.clear()
  requests.set(request.id, request)
  for (const [id, other] of others) requests.set(id, other)
}

/** Tenants that are remembered at most while they have nothing held. */
const IDLE_TENANTS_MAX = 4_096

/**
 * Start-time fair queueing with the cost of requests as their size (Goyal et al. 1996; with tokens
 * as the cost: virtual token counter, Sheng et al. 2024). Classes come first, in strict order. A
 * tenant that was idle begins at the present virtual time: it saves nothing up.
 */
export class FairQueue {
  readonly #limits: QueueLimits
  readonly #weightOf: (tenant: string) => number
  readonly #tenants = new Map<string, Tenant>()
  /** Held requests by class. */
  readonly #counts = new Map<number, number>()
  readonly #byId = new Map<number, GateRequest>()
  /** Start tag of the request that was given last. */
  #virtual = 0

  /** @param weightOf share of a tenant beside others of the class, above 0 */
  constructor(limits: QueueLimits, weightOf: (tenant: string) => number = () => 1) {
    this.#limits = limits
    this.#weightOf = weightOf
  }

  get size(): number {
    return this.#byId.size
  }

  /** Tokens of the held requests. */
  get tokens(): number {
    let sum = 0
    for (const { tokens } of this.#byId.values()) sum += tokens
    return sum
  }

  /** Arrival of the one that is held longest. */
  get oldestMs(): number | undefined {
    // Insertion order is the order of arrival.
    for (const { arrivedMs } of this.#byId.values()) return arrivedMs
    return undefined
  }

  has(id: number): boolean {
    return this.#byId.has(id)
  }

  /**
   * Holds a request. When all places are taken, one of the lowest class or the longest line goes.
   */
  hold(request: GateRequest): Held {
    const tenant = this.#tenant(request.tenant)
    const waiting = tenant.byRank.get(request.rank)?.size ?? 0
    if (waiting >= this.#limits.perTenant) return { at: 'Refused', reason: 'TENANT_QUEUE_FULL' }
    let evicted: GateRequest | undefined
    if (this.size >= this.#limits.total) {
      evicted = this.#victim(request)
      if (evicted === undefined) return { at: 'Refused', reason: 'SERVICE_QUEUE_FULL' }
      this.remove(evicted.id)
    }
    this.#enter(tenant, request).set(request.id, request)
    this.#byId.set(request.id, request)
    return { at: 'Held', evicted }
  }

  /**
   * Takes back a request that was given to a replica and not taken by it: to the head of its line,
   * whatever the limits are, for it was accepted before.
   */
  putBack(request: GateRequest): void {
    setFirst(this.#enter(this.#tenant(request.tenant), request), request)
    setFirst(this.#byId, request)
  }

  /** The line that a request is about to be held in. */
  #enter(tenant: Tenant, { rank }: GateRequest): Map<number, GateRequest> {
    if (this.#isIdle(tenant)) tenant.served = Math.max(tenant.served, this.#virtual)
    const line = tenant.byRank.get(rank) ?? new Map<number, GateRequest>()
    tenant.byRank.set(rank, line)
    this.#counts.set(rank, (this.#counts.get(rank) ?? 0) + 1)
    return line
  }

  /** The highest class of which something is held; undefined = nothing is. */
  get topRank(): number | undefined {
    let top: number | undefined
    for (const rank of this.#counts.keys()) if (top === undefined || rank < top) top = rank
    return top
  }

  /** The request whose turn it is. */
  peek(): GateRequest | undefined {
    const rank = this.topRank
    if (rank === undefined) return undefined
    let best: GateRequest | undefined
    let least = Number.POSITIVE_INFINITY
    for (const { served, byRank } of this.#tenants.values()) {
      const line = byRank.get(rank)
      if (line === undefined || served > least) continue
      for (const first of line.values()) {
        if (served < least || (best !== undefined && first.id < best.id)) best = first
        break
      }
      if (line.size > 0) least = served
    }
    return best
  }

  /** Takes a held request out without giving it to anybody. */
  remove(id: number): GateRequest | undefined {
    const request = this.#byId.get(id)
    if (request === undefined) return undefined
    const { rank } = request
    this.#byId.delete(id)
    const tenant = this.#tenants.get(request.tenant)
    const line = tenant?.byRank.get(rank)
    line?.delete(id)
    if (line?.size === 0) tenant?.byRank.delete(rank)
    const left = (this.#counts.get(rank) ?? 1) - 1
    if (left === 0) this.#counts.delete(rank)
    else this.#counts.set(rank, left)
    return request
  }

  /** Takes out all that are held of this rank and below, in the order in which they came. */
  removeFrom(rank: number): readonly GateRequest[] {
    const all = [...this.#byId.values()].filter((each) => each.rank >= rank)
    for (const { id } of all) this.remove(id)
    return all
  }

  /** Charges a request that is given to a replica, held before or not. */
  charge(request: GateRequest): void {
    const tenant = this.#tenant(request.tenant)
    const start = this.#isIdle(tenant) ? Math.max(tenant.served, this.#virtual) : tenant.served
    this.#virtual = Math.max(this.#virtual, start)
    tenant.served = start + request.cost / this.#weightOf(request.tenant)
  }

  /** Corrects the charge of a request when its cost is known. */
  correct(request: GateRequest, actualCost: number): void {
    const tenant = this.#tenant(request.tenant)
    tenant.served += (actualCost - request.cost) / this.#weightOf(request.tenant)
  }

  #tenant(name: string): Tenant {
    const known = this.#tenants.get(name)
    if (known !== undefined) return known
    if (this.#tenants.size >= IDLE_TENANTS_MAX) this.#forgetIdle()
    const fresh: Tenant = { served: this.#virtual, byRank: new Map() }
    this.#tenants.set(name, fresh)
    return fresh
  }

  /** Those who would begin at the present virtual time anyway. */
  #forgetIdle(): void {
    for (const [name, tenant] of this.#tenants) {
      if (this.#isIdle(tenant) && tenant.served <= this.#virtual) this.#tenants.delete(name)
    }
  }

  #isIdle({ byRank }: Tenant): boolean {
    return byRank.size === 0
  }

  /**
   * Who goes for a newcomer: the last one of the longest line (by weight) of the lowest class, if
   * that class is below the newcomer's, or is its own and somebody else's line is longer.
   */
  #victim(newcomer: GateRequest): GateRequest | undefined {
    let lowest = -1
    for (const rank of this.#counts.keys()) lowest = Math.max(lowest, rank)
    if (lowest < newcomer.rank) return undefined
    let longest = 0
    let victims: Map<number, GateRequest> | undefined
    let owner = ''
    for (const [name, { byRank }] of this.#tenants) {
      const line = byRank.get(lowest)
      const length = (line?.size ?? 0) / this.#weightOf(name)
      if (line === undefined || length <= longest) continue
      longest = length
      victims = line
      owner = name
    }
    if (lowest === newcomer.rank) {
      const own = this.#tenants.get(newcomer.tenant)?.byRank.get(lowest)?.size ?? 0
      const ownLength = (own + 1) / this.#weightOf(newcomer.tenant)
      if (owner === newcomer.tenant || longest < ownLength) return undefined
    }
    let last: GateRequest | undefined
    for (const each of victims?.values() ?? []) last = each
    return last
  }
}
