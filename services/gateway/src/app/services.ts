import type { Timers } from '@serverless-ai/kernel'
import { ServiceGate } from '../core/gate.ts'
import { type Replica, type ReplicaLimits, replicaKey } from '../core/replicas.ts'
import { RetryBudget } from '../core/retry-budget.ts'
import { WorkTime } from '../core/work-time.ts'
import type { Upstream } from '../proxy/upstream.ts'
import { openHttp1 } from '../proxy/upstream-http1.ts'
import { openHttp2 } from '../proxy/upstream-http2.ts'
import type { ShedTable } from './event-sheds.ts'
import type { RouteTable, ServiceRoute } from './routes.ts'
import type { GatewaySettings } from './settings.ts'

/** A request that is held, or at a replica. */
export interface Waiting {
  /** Its turn has come. */
  go(replica: Replica): void
  /** Another one has its place. */
  evict(): void
  /** Its class is refused now. */
  shed(): void
  /** The service has ended. */
  end(): void
}

/** A service with its gate and its connections. */
export class Service {
  route: ServiceRoute
  readonly gate: ServiceGate
  readonly budget = new RetryBudget()
  /** Requests of this gate, by id. */
  readonly requests = new Map<number, Waiting>()
  arrived = 0
  /** Undefined = some request did not say. */
  arrivedTokens: number | undefined = 0
  readonly #work = new WorkTime()
  readonly #upstreams = new Map<string, Upstream>()
  readonly #timers: Timers
  readonly #now: () => number

  constructor(init: {
    route: ServiceRoute
    settings: GatewaySettings
    timers: Timers
    now: () => number
  }) {
    const { route, settings } = init
    this.route = route
    this.#timers = init.timers
    this.#now = init.now
    this.gate = new ServiceGate({
      limits: limitsOf(route, settings),
      queue: { perTenant: settings.heldPerTenant, total: settings.heldPerService },
      weightOf: (tenant) => settings.weights[tenant] ?? 1,
    })
  }

  /** Time that a request takes at a replica and seldom exceeds, ms; 0 = unknown. */
  get workMs(): number {
    return this.#work.ms
  }

  /** A request was answered in this time at its replica. */
  worked(ms: number): void {
    this.#work.took(ms)
  }

  /** Gives what is held to whoever has room. */
  pump(): void {
    for (;;) {
      const given = this.gate.next(this.#now())
      if (given === undefined) return
      this.requests.get(given.request.id)?.go(given.replica)
    }
  }

  /** Takes over what the table says now. */
  follow(route: ServiceRoute, settings: GatewaySettings): void {
    this.route = route
    this.gate.limit(limitsOf(route, settings))
    this.gate.replace(route.replicas)
    const keys = new Set(route.replicas.map(replicaKey))
    for (const [key, upstream] of this.#upstreams) {
      if (keys.has(key)) continue
      this.#upstreams.delete(key)
      upstream.close()
    }
    this.pump()
  }

  /** This rank and all below it are refused, those that wait as well; undefined = none. */
  shed(fromRank: number | undefined): void {
    for (const { id } of this.gate.shed(fromRank)) this.requests.get(id)?.shed()
  }

  upstream(key: string, address: string): Upstream {
    const known = this.#upstreams.get(key)
    if (known !== undefined) return known
    const { protocol } = this.route
    const http2 = protocol === 'grpc' || protocol === 'http2'
    const fresh = http2 ? openHttp2(address, this.#timers) : openHttp1(address)
    this.#upstreams.set(key, fresh)
    return fresh
  }

  /** Its job has ended. */
  end(): void {
    for (const request of [...this.requests.values()]) request.end()
    for (const upstream of this.#upstreams.values()) upstream.close()
    this.#upstreams.clear()
  }
}

function limitsOf(route: ServiceRoute, settings: GatewaySettings): ReplicaLimits {
  const share = (limit: number): number =>
    limit === 0 ? 0 : Math.max(1, Math.floor(limit / settings.gateways))
  return {
    concurrency: share(route.concurrency === 0 ? settings.concurrencyMax : route.concurrency),
    tokens: share(route.tokens),
  }
}

/** Requests that may wait for a service to be declared; others are told at once there is none. */
const AWAITED_MAX = 256

/** A request for a service that nobody has declared yet. */
interface Awaited {
  readonly tenant: string
  readonly name: string
  readonly wake: () => void
}

/** All services of a gateway: the route table with what the gateway holds for each. */
export class Services {
  readonly #table: RouteTable
  readonly #sheds: ShedTable | undefined
  readonly #settings: GatewaySettings
  readonly #timers: Timers
  readonly #now: () => number
  readonly #byJob = new Map<string, Service>()
  readonly #awaited = new Set<Awaited>()

  constructor(init: {
    table: RouteTable
    sheds?: ShedTable | undefined
    settings: GatewaySettings
    timers: Timers
    now: () => number
  }) {
    this.#table = init.table
    this.#sheds = init.sheds
    this.#settings = init.settings
    this.#timers = init.timers
    this.#now = init.now
    init.table.onChange((jobId) => this.#follow(jobId))
    for (const { jobId } of init.table.list()) this.#follow(jobId)
    init.sheds?.onChange(() => {
      for (const service of this.list()) service.shed(this.#sheds?.rankFor(service.route))
    })
  }

  get complete(): boolean {
    return this.#table.complete
  }

  find(tenant: string, name: string): Service | undefined {
    const route = this.#table.find(tenant, name)
    return route === undefined ? undefined : this.#byJob.get(route.jobId)
  }

  /**
   * The service, also when it is declared within `ms` only: who has just submitted it may be here
   * before the event that tells of it.
   */
  async await(tenant: string, name: string, ms: number): Promise<Service | undefined> {
    const known = this.find(tenant, name)
    if (known !== undefined || !this.complete || this.#awaited.size >= AWAITED_MAX) return known
    const { promise, resolve: wake } = Promise.withResolvers<void>()
    const one = { tenant, name, wake }
    this.#awaited.add(one)
    const timer = this.#timers.after(ms, wake)
    await promise
    timer.cancel()
    this.#awaited.delete(one)
    return this.find(tenant, name)
  }

  list(): readonly Service[] {
    return [...this.#byJob.values()]
  }

  /** Ends all of them. */
  close(): void {
    for (const service of this.#byJob.values()) service.end()
    this.#byJob.clear()
    for (const { wake } of this.#awaited) wake()
  }

  #follow(jobId: string): void {
    const route = this.#table.get(jobId)
    const known = this.#byJob.get(jobId)
    if (route === undefined) {
      this.#byJob.delete(jobId)
      known?.end()
      return
    }
    const { timers, now } = { timers: this.#timers, now: this.#now }
    const settings = this.#settings
    const service = known ?? new Service({ route, settings, timers, now })
    this.#byJob.set(jobId, service)
    service.shed(this.#sheds?.rankFor(route))
    service.follow(route, settings)
    const { tenant, name } = route
    for (const one of this.#awaited) if (one.tenant === tenant && one.name === name) one.wake()
  }
}
