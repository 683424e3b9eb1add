import type { ReplicaRoute } from '../core/replicas.ts'

/** What a service speaks at its replicas. */
export type ServiceProtocol = 'http1' | 'http2' | 'grpc' | 'openai'

/** A service that requests can go to. */
export interface ServiceRoute {
  /** Job of the kind `Inference`. */
  readonly jobId: string
  readonly tenant: string
  /** Unique among the open services of its tenant. */
  readonly name: string
  readonly protocol: ServiceProtocol
  /** Requests that a replica takes at once; 0 = no limit of its own. */
  readonly concurrency: number
  /** Tokens that a replica takes at once; 0 = no limit. */
  readonly tokens: number
  /** Class of requests that name none; empty = the gateway's default. */
  readonly class: string
  /** Requests with one session key go to one replica. */
  readonly sessions: boolean
  readonly replicas: readonly ReplicaRoute[]
}

/** Where requests can go: a view of the public events. */
export interface RouteTable {
  /** True once it is that of the present; before, requests would be refused without a reason. */
  readonly complete: boolean
  find(tenant: string, name: string): ServiceRoute | undefined
  get(jobId: string): ServiceRoute | undefined
  list(): readonly ServiceRoute[]
  /** Calls `listener` after each change with the job that it is about. */
  onChange(listener: (jobId: string) => void): void
}

/** A table that is filled by hand. */
export class StaticRoutes implements RouteTable {
  readonly complete = true
  readonly #services = new Map<string, ServiceRoute>()
  readonly #listeners: ((jobId: string) => void)[] = []

  find(tenant: string, name: string): ServiceRoute | undefined {
    return this.list().find((each) => each.tenant === tenant && each.name === name)
  }

  get(jobId: string): ServiceRoute | undefined {
    return this.#services.get(jobId)
  }

  list(): readonly ServiceRoute[] {
    return [...this.#services.values()]
  }

  onChange(listener: (jobId: string) => void): void {
    this.#listeners.push(listener)
  }

  /** Adds a service, or puts it in the place of the one with the same job. */
  set(service: ServiceRoute): void {
    this.#services.set(service.jobId, service)
    this.#tell(service.jobId)
  }

  remove(jobId: string): void {
    if (this.#services.delete(jobId)) this.#tell(jobId)
  }

  #tell(jobId: string): void {
    for (const listener of this.#listeners) listener(jobId)
  }
}
