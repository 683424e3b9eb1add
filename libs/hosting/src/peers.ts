import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import {
  type ClientOf,
  RpcError,
  type Timer,
  type Timers,
  type Transport,
} from '@serverless-ai/kernel'

/** How often peers are asked whether they serve, ms. */
const PROBE_EVERY_MS = 2_000
const PROBE_TIMEOUT_MS = 1_500

/** Typed clients of the other services, and which of them can be reached. */
export class Peers {
  readonly #transport: Transport
  readonly #timers: Timers
  readonly #addresses: ReadonlyMap<string, string>
  readonly #token: string
  readonly #unreachable = new Map<string, string>()
  #timer: Timer | undefined
  #stopped = false

  /** @param init `addresses`: service name to `host:port`, for every service of the platform */
  constructor(init: {
    transport: Transport
    timers: Timers
    addresses: ReadonlyMap<string, string>
    token: string
  }) {
    this.#transport = init.transport
    this.#timers = init.timers
    this.#addresses = init.addresses
    this.#token = init.token
  }

  /** A client of `service`, with the service token. Channels are shared. */
  client<S>(shape: S, service: string): ClientOf<S> {
    const address = this.#addresses.get(service)
    if (address === undefined) {
      throw new RpcError({
        code: 'UNAVAILABLE',
        reason: 'UNAVAILABLE',
        message: `no address is configured for ${service}; set --peers.${service} HOST:PORT`,
      })
    }
    return this.#transport.client(shape, { address, token: this.#token })
  }

  /** Peers that did not answer the last probe: `service: reason`. */
  unreachable(): readonly string[] {
    return [...this.#unreachable].map(([service, reason]) => `${service}: ${reason}`).sort()
  }

  /** Probes `services` now and every two seconds. */
  async watch(services: readonly string[]): Promise<void> {
    if (services.length === 0 || this.#stopped) return
    await Promise.all(services.map((service) => this.#probe(service)))
    if (this.#stopped) return
    this.#timer = this.#timers.after(PROBE_EVERY_MS, () => void this.watch(services))
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #probe(service: string): Promise<void> {
    try {
      const health = this.client(HealthService, service)
      const { status } = await health.check({ service }, { timeoutMs: PROBE_TIMEOUT_MS })
      if (status === HealthCheckResponse_ServingStatus.SERVING) this.#unreachable.delete(service)
      else this.#unreachable.set(service, 'NOT_SERVING')
    } catch (error) {
      const reason = error instanceof RpcError ? error.reason : String(error)
      const mend = reason === 'NOT_FOUND' ? `; set --peers.${service} HOST:PORT` : ''
      this.#unreachable.set(service, `${reason} at ${this.#addresses.get(service)}${mend}`)
    }
  }
}
