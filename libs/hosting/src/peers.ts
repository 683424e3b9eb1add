import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import {
  type ClientOf,
  type Ports,
  RpcError,
  type Timer,
  type Timers,
  type Transport,
} from '@serverless-ai/kernel'
import { addressesOf, clientFrom, followLeader } from '@serverless-ai/rpc'

/** How often peers are asked whether they serve, ms. */
const PROBE_EVERY_MS = 2_000
const PROBE_TIMEOUT_MS = 1_500

const notConfigured = (service: string): RpcError =>
  new RpcError({
    code: 'UNAVAILABLE',
    reason: 'UNAVAILABLE',
    message: `no address is configured for ${service}; set --peers.${service} HOST:PORT`,
  })

/** Typed clients of the other services, and which of them can be reached. */
export class Peers {
  readonly #transport: Transport
  readonly #following: Transport
  readonly #timers: Timers
  readonly #addresses: ReadonlyMap<string, string>
  readonly #token: string
  readonly #unreachable = new Map<string, string>()
  #timer: Timer | undefined
  #stopped = false

  /**
   * @param init `transport`: plain, one address per client. `addresses`: service name to
   *   `host:port` or a list of its replicas, for every service that is known: those that are
   *   configured and those that this process runs
   */
  constructor(init: {
    transport: Transport
    ports: Pick<Ports, 'clock' | 'timers' | 'randomness'>
    addresses: ReadonlyMap<string, string>
    token: string
  }) {
    this.#transport = init.transport
    // One round: who calls in the name of a service has a patience of its own.
    this.#following = followLeader(init.transport, init.ports, { attempts: 1 })
    this.#timers = init.ports.timers
    this.#addresses = init.addresses
    this.#token = init.token
  }

  /**
   * A client of `service`, with the service token. Its calls go to the replica that leads
   * (`followLeader`); where nobody answers they fail after one round, and so does each call to a
   * service that is not known. Channels are shared.
   */
  client<S>(shape: S, service: string): ClientOf<S> {
    const address = this.#addresses.get(service)
    if (address === undefined) return this.#nobody(shape, service)
    return this.#following.client(shape, { address, token: this.#token })
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

  /**
   * True where an address is configured for a service, or this process runs it: those that are
   * optional are asked after.
   */
  knows(service: string): boolean {
    return this.#addresses.has(service)
  }

  /**
   * Address of a service, or those of its replicas with commas between.
   * @throws RpcError `UNAVAILABLE` for a service that is not known
   */
  addressOf(service: string): string {
    const address = this.#addresses.get(service)
    if (address === undefined) throw notConfigured(service)
    return address
  }

  /** Whose calls all fail: a process may start before somebody says where a peer is. */
  #nobody<S>(shape: S, service: string): ClientOf<S> {
    const fail = () => Promise.reject(notConfigured(service))
    return clientFrom(shape, ({ responseStream }) =>
      responseStream ? () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }) : fail,
    )
  }

  /** A service can be reached when one of its replicas serves. */
  async #probe(service: string): Promise<void> {
    const list = this.#addresses.get(service)
    if (list === undefined) {
      this.#unreachable.set(service, notConfigured(service).message)
      return
    }
    const problems = await Promise.all(
      addressesOf(list).map((address) => this.#problemAt(address, service)),
    )
    if (problems.includes('')) this.#unreachable.delete(service)
    else this.#unreachable.set(service, problems.join('; '))
  }

  /** Empty = this replica serves. */
  async #problemAt(address: string, service: string): Promise<string> {
    try {
      const health = this.#transport.client(HealthService, { address, token: this.#token })
      const { status } = await health.check({ service }, { timeoutMs: PROBE_TIMEOUT_MS })
      return status === HealthCheckResponse_ServingStatus.SERVING ? '' : `NOT_SERVING at ${address}`
    } catch (error) {
      const reason = error instanceof RpcError ? error.reason : String(error)
      const mend = reason === 'NOT_FOUND' ? `; set --peers.${service} HOST:PORT` : ''
      return `${reason} at ${address}${mend}`
    }
  }
}
