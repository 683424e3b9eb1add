import { Client, credentials } from '@grpc/grpc-js'
import type { ClientOf, Clock, Transport } from '@serverless-ai/kernel'
import type { CallTelemetry } from './call-telemetry.ts'
import { CLIENT_OPTIONS, SECURE_CLIENT_OPTIONS } from './channel-options.ts'
import { Caller } from './grpc-caller.ts'
import { clientFrom, serviceNamesOf } from './shape.ts'
import { channelCredentials } from './tls.ts'
import { serverOf } from './tls-identity.ts'
import type { TlsSource } from './tls-material.ts'

/** Channels of earlier certificates that are kept: their calls may still run. */
const RETIRED_MAX = 16

/** Settings of outgoing calls. */
export interface GrpcTransportOptions extends CallTelemetry {
  readonly clock: Clock
  /**
   * Mutual TLS: the own certificate, and who is trusted. A server must be the service that serves
   * the called API (`service/scheduler` for `serverlessai.schedule.v1`), whatever its host name.
   * Default: none.
   */
  readonly tls?: TlsSource
}

/** gRPC channels, one per address (and expected server, with TLS), opened at the first call. */
class GrpcTransport implements Transport {
  readonly #clock: Clock
  readonly #tls: TlsSource | undefined
  readonly #telemetry: CallTelemetry
  readonly #clients = new Map<string, Client>()
  readonly #retired: Client[] = []
  readonly #unfollow: () => void

  constructor({ clock, tls, observer, tracer }: GrpcTransportOptions) {
    this.#telemetry = { observer, tracer }
    this.#clock = clock
    this.#tls = tls
    this.#unfollow = tls?.onChange(() => this.#retire()) ?? (() => undefined)
  }

  client<S>(service: S, target: { address: string; token?: string }): ClientOf<S> {
    const names = this.#tls === undefined ? [] : serviceNamesOf(service)
    const server = names.map(serverOf).find((name) => name !== undefined)
    const channel = () => this.#clientOf(target.address, server)
    const [clock, telemetry, { token }] = [this.#clock, this.#telemetry, target]
    return clientFrom(service, (method) =>
      new Caller({ client: channel, method, clock, token, telemetry }).bind(),
    )
  }

  async close(): Promise<void> {
    this.#unfollow()
    for (const client of [...this.#clients.values(), ...this.#retired]) client.close()
    this.#clients.clear()
    this.#retired.length = 0
  }

  #clientOf(address: string, server: string | undefined): Client {
    const key = `${address} ${server ?? ''}`
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const client =
      this.#tls === undefined
        ? new Client(address, credentials.createInsecure(), CLIENT_OPTIONS)
        : new Client(
            address,
            channelCredentials(this.#tls.current(), server),
            SECURE_CLIENT_OPTIONS,
          )
    this.#clients.set(key, client)
    return client
  }

  /**
   * New calls take the new certificate; those that run go on. The old channels are not closed at
   * once, which would end calls that wait for a connection: the library lets idle ones sleep.
   */
  #retire(): void {
    this.#retired.push(...this.#clients.values())
    this.#clients.clear()
    for (const old of this.#retired.splice(0, this.#retired.length - RETIRED_MAX)) old.close()
  }
}

/**
 * The outgoing side of the transport port over gRPC. Unary calls have a deadline of 30 s unless
 * `timeoutMs` says otherwise, streams none. A call to an address that nobody serves fails with
 * `UNAVAILABLE`; retries are the caller's.
 */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  return new GrpcTransport(options)
}
