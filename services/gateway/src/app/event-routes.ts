import { decodeEvent, type EventTable, type PublicEvent } from '@serverless-ai/client/events'
import {
  type ServiceDeclared,
  ServiceDeclared_Affinity,
  ServiceDeclared_Protocol,
} from '@serverless-ai/contracts/events/v1/mediator'
import type { ReplicaRoute } from '../core/replicas.ts'
import type { RouteTable, ServiceProtocol, ServiceRoute } from './routes.ts'

/** Services whose public events the routes are made of. */
export const ROUTE_SOURCES = ['mediator', 'scheduler', 'pool-manager'] as const
export type RouteSource = (typeof ROUTE_SOURCES)[number]

/** Rank 0 of a gang, as the pool manager told last. */
interface Told {
  readonly generation: number
  readonly address: string
  readonly ready: boolean
}

/** What is known of the gangs of a job; topics have no order between them. */
interface Gangs {
  readonly told: Map<number, Told>
  /** Generation that drains. */
  readonly draining: Map<number, number>
  /** Through this generation they are released. */
  readonly released: Map<number, number>
}

const PROTOCOLS: Readonly<Partial<Record<ServiceDeclared_Protocol, ServiceProtocol>>> = {
  [ServiceDeclared_Protocol.HTTP1]: 'http1',
  [ServiceDeclared_Protocol.HTTP2]: 'http2',
  [ServiceDeclared_Protocol.GRPC]: 'grpc',
  [ServiceDeclared_Protocol.OPENAI]: 'openai',
}

/** Gangs of a job of which an end is remembered; they are numbered upwards. */
const GANGS_MAX = 2_000

/** The facts of one source: what its snapshot replaces. */
class Facts {
  readonly services = new Map<string, ServiceDeclared>()
  readonly gangs = new Map<string, Gangs>()

  gangsOf(jobId: string): Gangs {
    const known = this.gangs.get(jobId)
    if (known !== undefined) return known
    const fresh: Gangs = { told: new Map(), draining: new Map(), released: new Map() }
    this.gangs.set(jobId, fresh)
    return fresh
  }

  /** Takes an event; answers the job that it is about, if it matters here. */
  take(event: PublicEvent): string | undefined {
    const decoded = decodeEvent(event)
    switch (decoded?.name) {
      case 'ServiceDeclared':
        this.services.set(decoded.value.jobId, decoded.value)
        return decoded.value.jobId
      case 'ServiceEnded':
        this.services.delete(decoded.value.jobId)
        return decoded.value.jobId
      case 'TaskReadinessChanged': {
        const { jobId, gang, generation, rank, address, ports, ready } = decoded.value
        if (rank !== 0) return undefined
        const { told } = this.gangsOf(jobId)
        const known = told.get(gang)
        if (known !== undefined && known.generation > generation) return undefined
        const at = `${address.includes(':') ? `[${address}]` : address}:${ports[0] ?? 0}`
        const usable = ready && ports[0] !== undefined
        told.set(gang, { generation, address: at, ready: usable })
        return jobId
      }
      case 'GangDraining': {
        const { jobId, gang, generation } = decoded.value
        this.gangsOf(jobId).draining.set(gang, generation)
        return jobId
      }
      case 'GangReleased': {
        const { jobId, gang, throughGeneration } = decoded.value
        const gangs = this.gangsOf(jobId)
        gangs.released.set(gang, throughGeneration)
        gangs.draining.delete(gang)
        // Maps keep the order of insertion: the oldest end first.
        for (const old of gangs.released.keys()) {
          if (gangs.released.size <= GANGS_MAX) break
          gangs.released.delete(old)
        }
        return jobId
      }
      case 'JobStateChanged': {
        const { jobId, state } = decoded.value
        // Its gangs are of no interest any more, whatever was told about them.
        if (!ENDED.has(state)) return undefined
        this.gangs.delete(jobId)
        return jobId
      }
      default:
        return undefined
    }
  }
}

const isReleased = (of: Gangs | undefined, gang: number, generation: number): boolean =>
  (of?.released.get(gang) ?? 0) >= generation

const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled', 'Rejected'])

/** Where requests can go, folded from the public events of mediator, scheduler and pool manager. */
export class EventRoutes implements RouteTable {
  readonly #facts: Record<RouteSource, Facts> = {
    mediator: new Facts(),
    scheduler: new Facts(),
    'pool-manager': new Facts(),
  }
  readonly #known = new Set<RouteSource>()
  readonly #listeners: ((jobId: string) => void)[] = []
  readonly #byName = new Map<string, string>()

  get complete(): boolean {
    return this.#known.size === ROUTE_SOURCES.length
  }

  find(tenant: string, name: string): ServiceRoute | undefined {
    const jobId = this.#byName.get(`${tenant}/${name}`)
    return jobId === undefined ? undefined : this.get(jobId)
  }

  get(jobId: string): ServiceRoute | undefined {
    const declared = this.#facts.mediator.services.get(jobId)
    const protocol = declared && PROTOCOLS[declared.protocol]
    if (declared === undefined || protocol === undefined) return undefined
    const { tenant, name, concurrency, tokens, class: className, affinity } = declared
    return {
      jobId,
      tenant,
      name,
      protocol,
      concurrency,
      tokens: Number(tokens),
      class: className,
      sessions: affinity === ServiceDeclared_Affinity.SESSION,
      replicas: this.#replicas(jobId),
    }
  }

  list(): readonly ServiceRoute[] {
    const jobs = [...this.#facts.mediator.services.keys()]
    return jobs.flatMap((jobId) => this.get(jobId) ?? [])
  }

  onChange(listener: (jobId: string) => void): void {
    this.#listeners.push(listener)
  }

  /** The table that events of a source are applied to: begins with the present state. */
  tableOf(source: RouteSource): EventTable {
    let staged = new Facts()
    return {
      load: () => undefined,
      apply: ({ events }) => {
        const changed = new Set(events.flatMap((event) => this.#facts[source].take(event) ?? []))
        if (source !== 'mediator') this.#forgetReleased(changed, source)
        this.#tell(changed)
      },
      stage: ({ page, events }) => {
        if (page === 0) staged = new Facts()
        for (const event of events) staged.take(event)
      },
      swap: () => {
        const before = this.#facts[source]
        this.#facts[source] = staged
        this.#known.add(source)
        const jobs = [before, staged].flatMap(({ services, gangs }) => [
          ...services.keys(),
          ...gangs.keys(),
        ])
        staged = new Facts()
        this.#tell(new Set(jobs))
      },
    }
  }

  /** What was told of gangs that the scheduler has released, or of a job that it has ended. */
  #forgetReleased(jobs: ReadonlySet<string>, source: RouteSource): void {
    const { gangs } = this.#facts['pool-manager']
    for (const jobId of jobs) {
      const told = gangs.get(jobId)?.told
      if (told === undefined) continue
      const scheduled = this.#facts.scheduler.gangs.get(jobId)
      for (const [gang, { generation }] of told) {
        if (isReleased(scheduled, gang, generation)) told.delete(gang)
      }
      const ended = source === 'scheduler' && scheduled === undefined
      if (ended || told.size === 0) gangs.delete(jobId)
    }
  }

  #replicas(jobId: string): readonly ReplicaRoute[] {
    const told = this.#facts['pool-manager'].gangs.get(jobId)?.told ?? []
    const scheduled = this.#facts.scheduler.gangs.get(jobId)
    const routes: ReplicaRoute[] = []
    for (const [gang, { generation, address, ready }] of told) {
      if (isReleased(scheduled, gang, generation)) continue
      const draining = scheduled?.draining.get(gang) === generation
      // One that is neither ready nor on its way out is of no use to know.
      if (ready || draining) routes.push({ gang, generation, address, ready, draining })
    }
    return routes
  }

  #tell(jobs: ReadonlySet<string>): void {
    for (const jobId of jobs) {
      this.#index(jobId)
      for (const listener of this.#listeners) listener(jobId)
    }
  }

  /** One open service of a name per tenant; where two overlap for a moment, the later one. */
  #index(jobId: string): void {
    const declared = this.#facts.mediator.services.get(jobId)
    if (declared !== undefined) {
      this.#byName.set(`${declared.tenant}/${declared.name}`, jobId)
      return
    }
    for (const [name, known] of this.#byName) if (known === jobId) this.#byName.delete(name)
  }
}
