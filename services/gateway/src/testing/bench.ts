import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock, Principal } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { staticTokens } from '@serverless-ai/rpc'
import type { DemandSignal } from '../app/demand.ts'
import { EventSheds } from '../app/event-sheds.ts'
import { Gateway } from '../app/gateway.ts'
import type { Measured } from '../app/meter.ts'
import { type ServiceRoute, StaticRoutes } from '../app/routes.ts'
import { DEFAULT_SETTINGS, type GatewaySettings } from '../app/settings.ts'
import type { ReplicaRoute } from '../core/replicas.ts'
import type { CallAs } from '../rest/rest-api.ts'

/** Token of a tenant in a bench. */
export const tokenOf = (tenant: string): string => `token-of-${tenant}`

const principal = (tenant: string): Principal => ({
  subject: `token:${tenant}`,
  tenant,
  roles: ['tenant'],
})

/** A replica of a bench: a real server on a port of its own. */
export interface BenchReplica {
  readonly address: string
  readonly server: Server
  close(): void
}

/** Serves requests with a function. */
export async function openReplica(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<BenchReplica> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    server,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** A gateway on a port of its own with a table that is filled by hand. */
export class GatewayBench {
  readonly table = new StaticRoutes()
  readonly sheds: EventSheds
  readonly measured: Measured[] = []
  readonly demands: Parameters<DemandSignal['demand']>[0][] = []
  readonly gateway: Gateway
  readonly replicas: BenchReplica[] = []
  port = 0
  #gang = 0
  readonly #waiting: { count: number; resolve: () => void }[] = []

  constructor(
    settings: Partial<GatewaySettings> = {},
    tenants: readonly string[] = ['a', 'b'],
    clock: Clock = systemClock,
    callAs?: CallAs,
  ) {
    const all = { ...DEFAULT_SETTINGS, ...settings }
    this.sheds = new EventSheds({ classes: all.classes, logger: SILENT })
    this.gateway = new Gateway({
      host: '127.0.0.1',
      port: 0,
      settings: all,
      table: this.table,
      sheds: this.sheds,
      authenticate: staticTokens(
        tenants.map((tenant) => ({ token: tokenOf(tenant), principal: principal(tenant) })),
      ),
      meter: { ended: (measured) => this.#ended(measured) },
      demand: { demand: (about) => void this.demands.push(about) },
      ...(callAs && { callAs }),
      ports: {
        clock,
        timers: systemTimers,
        randomness: systemRandomness,
        logger: SILENT,
      },
    })
  }

  async start(): Promise<this> {
    this.port = await this.gateway.start()
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Starts a replica and puts it into the table of a service, which is made when it is new. */
  async replica(
    handle: (request: IncomingMessage, response: ServerResponse) => void,
    more: Partial<ServiceRoute> = {},
  ): Promise<ReplicaRoute> {
    const opened = await openReplica(handle)
    this.replicas.push(opened)
    return this.route(opened.address, more)
  }

  /** Puts an address into the table. */
  route(address: string, more: Partial<ServiceRoute> = {}): ReplicaRoute {
    this.#gang += 1
    const route = { gang: this.#gang, generation: 1, address, ready: true, draining: false }
    const known = this.table.find(more.tenant ?? 'a', more.name ?? 'echo')
    this.service({ ...more, replicas: [...(known?.replicas ?? []), route] })
    return route
  }

  /** Declares a service, or changes it. */
  service(more: Partial<ServiceRoute> = {}): void {
    const { tenant = 'a', name = 'echo' } = more
    const known = this.table.find(tenant, name)
    this.table.set({
      jobId: `job-${tenant}-${name}`,
      tenant,
      name,
      protocol: 'http1',
      concurrency: 0,
      tokens: 0,
      class: '',
      sessions: false,
      replicas: [],
      ...known,
      ...more,
    })
  }

  /** Resolves when so many requests have ended in all. */
  ended(count: number): Promise<void> {
    if (this.measured.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }

  fetch(path: string, init: RequestInit = {}, tenant = 'a'): Promise<Response> {
    const headers = { authorization: `Bearer ${tokenOf(tenant)}`, ...init.headers }
    return fetch(`${this.url}${path}`, { ...init, headers })
  }

  async close(): Promise<void> {
    await this.gateway.stop(0)
    for (const replica of this.replicas) replica.close()
  }

  #ended(measured: Measured): void {
    this.measured.push(measured)
    for (const waiting of [...this.#waiting]) {
      if (this.measured.length < waiting.count) continue
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      waiting.resolve()
    }
  }
}

const SILENT = { log: () => undefined, child: () => SILENT }
