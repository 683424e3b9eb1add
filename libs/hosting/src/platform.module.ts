import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common'
import { readDescriptorSet } from '@serverless-ai/contracts'
import type { EventLog } from '@serverless-ai/eventlog'
import type { Transport, TransportServer } from '@serverless-ai/kernel'
import {
  addHealth,
  addReflection,
  createGrpcServer,
  createGrpcTransport,
  HealthRegistry,
} from '@serverless-ai/rpc'
import { HealthController } from './health.controller.ts'
import { type PlatformOptions, SERVICE_NAMES } from './options.ts'
import { Peers } from './peers.ts'
import { PlatformGrpc } from './platform.grpc.ts'
import { Readiness } from './readiness.ts'
import { RuntimeHost } from './runtime-host.ts'
import {
  EVENT_LOG,
  GRPC_SERVER,
  HEALTH,
  PEERS,
  PLATFORM_OPTIONS,
  PORTS,
  RUNTIME_HOST,
  TRANSPORT,
} from './tokens.ts'

/** Time for running calls to end at shutdown, ms. */
const DRAIN_MS = 1_000

/** Starts and stops in the listed order: log, partitions, gRPC, health; and back. */
@Injectable()
class PlatformLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #options: PlatformOptions
  readonly #server: TransportServer
  readonly #transport: Transport
  readonly #host: RuntimeHost
  readonly #peers: Peers
  readonly #health: HealthRegistry

  constructor(
    @Inject(PLATFORM_OPTIONS) options: PlatformOptions,
    @Inject(GRPC_SERVER) server: TransportServer,
    @Inject(TRANSPORT) transport: Transport,
    @Inject(RUNTIME_HOST) host: RuntimeHost,
    @Inject(PEERS) peers: Peers,
    @Inject(HEALTH) health: HealthRegistry,
  ) {
    this.#options = options
    this.#server = server
    this.#transport = transport
    this.#host = host
    this.#peers = peers
    this.#health = health
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.#host.start()
    addHealth(this.#server, this.#health)
    addReflection(this.#server, readDescriptorSet())
    const address = await this.#server.listen(this.#options.listen)
    const elsewhere = this.#options.required.filter(
      (service) => !this.#host.services().includes(service),
    )
    await this.#peers.watch(elsewhere)
    const { logger } = this.#options.ports
    logger.log('info', 'serving', { address, services: this.#host.services() })
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#health.drain()
    this.#peers.stop()
    await this.#server.close(DRAIN_MS)
    await this.#host.stop()
    await this.#transport.close()
    await this.#options.eventLog.close()
  }
}

function addressesOf(options: PlatformOptions): ReadonlyMap<string, string> {
  return new Map(
    SERVICE_NAMES.map((service) => [service, options.peers[service] ?? options.listen]),
  )
}

/**
 * The shared providers of a process of the control plane. Global: import it once, in the root
 * module.
 */
@Module({})
export class PlatformModule {
  static with(options: PlatformOptions): DynamicModule {
    const { clock, timers, logger } = options.ports
    const { authenticate, insecureDev } = options
    const rules = { clock, timers, logger, authenticate, insecureDev }
    return {
      module: PlatformModule,
      global: true,
      controllers: [HealthController],
      providers: [
        { provide: PLATFORM_OPTIONS, useValue: options },
        { provide: PORTS, useValue: options.ports },
        { provide: EVENT_LOG, useFactory: (): EventLog => options.eventLog },
        { provide: HEALTH, useFactory: () => new HealthRegistry() },
        { provide: GRPC_SERVER, useFactory: () => createGrpcServer(rules) },
        {
          provide: TRANSPORT,
          useFactory: () => options.transport ?? createGrpcTransport({ clock }),
        },
        {
          provide: PEERS,
          inject: [TRANSPORT],
          useFactory: (transport: Transport) =>
            new Peers({
              transport,
              timers,
              addresses: addressesOf(options),
              token: options.serviceToken,
            }),
        },
        {
          provide: RUNTIME_HOST,
          inject: [PEERS, HEALTH],
          useFactory: (peers: Peers, health: HealthRegistry) =>
            new RuntimeHost({ options, peers, health }),
        },
        Readiness,
        PlatformGrpc,
        PlatformLifecycle,
      ],
      exports: [
        PLATFORM_OPTIONS,
        PORTS,
        EVENT_LOG,
        HEALTH,
        GRPC_SERVER,
        TRANSPORT,
        PEERS,
        RUNTIME_HOST,
        Readiness,
      ],
    }
  }
}
