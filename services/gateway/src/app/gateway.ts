import type { Ports, Timer } from '@serverless-ai/kernel'
import type { Authenticate } from '@serverless-ai/rpc'
import { Buffers } from '../proxy/body.ts'
import type { Exchange } from '../proxy/exchange.ts'
import { Front } from '../proxy/front.ts'
import { Router } from '../proxy/router.ts'
import { type CallAs, RestApi } from '../rest/rest-api.ts'
import type { DemandSignal } from './demand.ts'
import type { ShedTable } from './event-sheds.ts'
import type { RequestMeter } from './meter.ts'
import type { RouteTable } from './routes.ts'
import { Services } from './services.ts'
import type { GatewaySettings } from './settings.ts'

/** How often demand for services with held requests is told, ms. */
const EVERY_MS = 1_000
/** How often a stop looks whether all requests are over, ms. */
const LOOK_MS = 20

export interface GatewayInit {
  readonly host: string
  /** 0 = any that is free. */
  readonly port: number
  readonly settings: GatewaySettings
  readonly table: RouteTable
  /** Classes that are refused while objectives are in danger; absent = none ever. */
  readonly sheds?: ShedTable
  readonly authenticate: Authenticate
  readonly meter: RequestMeter
  readonly demand: DemandSignal
  readonly ports: Pick<Ports, 'clock' | 'timers' | 'randomness' | 'logger'>
  /** Calls of the control plane; absent = no REST API. */
  readonly callAs?: CallAs
  /** Called once a second with all services. */
  readonly eachSecond?: (services: Services) => void
}

/** The edge: listens, admits, routes, measures. Holds nothing that has to outlive it. */
export class Gateway {
  readonly services: Services
  readonly #init: GatewayInit
  readonly #front: Front
  readonly #buffers: Buffers
  readonly #exchanges = new Set<Exchange>()
  #open = true
  #timer: Timer | undefined

  constructor(init: GatewayInit) {
    this.#init = init
    const { clock, timers } = init.ports
    const now = (): number => clock.monotonicMs()
    const { settings, table, sheds, authenticate, meter, demand, ports, callAs } = init
    this.services = new Services({ table, sheds, settings, timers, now })
    this.#buffers = new Buffers(settings.buffersMaxBytes)
    const router = new Router({
      services: this.services,
      authenticate,
      ports: { ...ports, settings, meter, demand },
      buffers: this.#buffers,
      ...(callAs && { api: this.#restApi(callAs) }),
      open: () => this.#open,
    })
    this.#front = new Front({
      host: init.host,
      port: init.port,
      connectionsMax: settings.connectionsMax,
      callerHeadMs: settings.callerHeadMs,
      // The deadline of a request comes first.
      requestMs: settings.timeoutMs + settings.callerHeadMs,
      onExchange: (exchange) => {
        this.#exchanges.add(exchange)
        exchange.onClose(() => this.#exchanges.delete(exchange))
        router.handle(exchange)
      },
    })
  }

  /** Connections of callers. */
  get connections(): number {
    return this.#front.connections
  }

  /** Bytes of bodies in memory. */
  get bufferedBytes(): number {
    return this.#buffers.bytes
  }

  /** Requests that are held or at replicas. */
  get requests(): number {
    return this.services.list().reduce((sum, { requests }) => sum + requests.size, 0)
  }

  /** Answers the port. @throws the system's error when it cannot listen */
  async start(): Promise<number> {
    const port = await this.#front.listen()
    this.#tick()
    return port
  }

  /** Something was asked, and its answer is not whole at the caller's. */
  get #busy(): boolean {
    for (const { endless } of this.#exchanges) if (!endless) return true
    return false
  }

  /** New requests are refused, running ones may end until `graceMs`, then they are cut. */
  async stop(graceMs: number): Promise<void> {
    const { clock, timers } = this.#init.ports
    this.#open = false
    this.#front.drain()
    const endMs = clock.monotonicMs() + graceMs
    while (this.#busy && clock.monotonicMs() < endMs) await timers.sleep(LOOK_MS)
    this.#timer?.cancel()
    this.#init.eachSecond?.(this.services)
    this.services.close()
    this.#front.close()
  }

  #restApi(callAs: CallAs): RestApi {
    const { settings, ports } = this.#init
    const bodyMaxBytes = settings.jsonMaxBytes
    return new RestApi({ callAs, timers: ports.timers, buffers: this.#buffers, bodyMaxBytes })
  }

  #tick(): void {
    const { ports, demand, eachSecond } = this.#init
    const nowMs = ports.clock.monotonicMs()
    for (const { gate, route } of this.services.list()) {
      const { size, oldestMs } = gate.queue
      if (size === 0) continue
      demand.demand({ jobId: route.jobId, queued: size, oldestMs: nowMs - (oldestMs ?? nowMs) })
    }
    eachSecond?.(this.services)
    this.#timer = ports.timers.after(EVERY_MS, () => this.#tick())
  }
}
