import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import { type Message, RpcError, type Transport } from '@serverless-ai/kernel'
import type { HealthRegistry } from '@serverless-ai/rpc'
import {
  createRuntime,
  type FeedClient,
  FoldError,
  type LeaderHealth,
  type RuntimeStatus,
  type ServiceDefinition,
  type ServiceRuntime,
} from '@serverless-ai/runtime'
import { publicEventFromProto } from './feed.ts'
import { askLeaderHealth } from './leader-health.ts'
import type { PlatformOptions } from './options.ts'
import type { Peers } from './peers.ts'
import { runtimeObserver, watchRuntime } from './telemetry/runtime-metrics.ts'

/** A runtime without its type parameters: what the host itself needs of it. */
type AnyRuntime = Pick<
  ServiceRuntime<unknown, Message, Message>,
  | 'service'
  | 'partition'
  | 'start'
  | 'onLeadership'
  | 'stop'
  | 'status'
  | 'serves'
  | 'digest'
  | 'feedSnapshot'
  | 'watchFeed'
  | 'raiseFeatureLevel'
  | 'voidRecord'
>

/**
 * The partitions this process serves: made by the services' modules, started and stopped together.
 */
export class RuntimeHost {
  readonly #options: PlatformOptions
  readonly #peers: Peers
  readonly #health: HealthRegistry
  readonly #leaderHealth: LeaderHealth
  readonly #runtimes = new Map<string, AnyRuntime>()
  #started = false

  constructor(init: {
    options: PlatformOptions
    peers: Peers
    health: HealthRegistry
    transport: Transport
  }) {
    this.#options = init.options
    this.#peers = init.peers
    this.#health = init.health
    this.#leaderHealth = askLeaderHealth(init.transport)
  }

  /**
   * Makes the runtime of a service. It starts with the host. Its name is healthy while this replica
   * can serve it (leads, or follows a leader), its claim (`<service>/<partition>/<epoch>/<id>`)
   * while this replica leads it and can commit.
   */
  add<S, C extends Message, E extends Message>(
    definition: ServiceDefinition<S, C, E>,
  ): ServiceRuntime<S, C, E> {
    const { ports, eventLog, snapshots, replica, partition, metrics } = this.#options
    const { listen, advertise = listen } = this.#options
    const runtime = createRuntime(
      definition,
      {
        eventLog,
        snapshots,
        feed: this.#feed,
        replica,
        replicas: this.#options.replicas ?? [replica],
        leaderHealth: this.#leaderHealth,
        address: advertise,
        partition,
        ...(metrics && { observer: runtimeObserver(metrics, definition.name) }),
      },
      ports,
      this.#options.runtime,
    )
    this.#runtimes.set(definition.name, runtime)
    this.#health.set(definition.name, () => this.#serving(runtime))
    this.#health.resolve((claim) => runtime.serves(claim))
    runtime.onLeadership(() => this.#health.changed())
    if (metrics !== undefined) watchRuntime(metrics, runtime)
    return runtime
  }

  #serving(runtime: AnyRuntime): boolean {
    const { role, leader } = runtime.status()
    if (role === 'Leading') return true
    const led = leader !== '' && leader !== this.#options.replica
    return this.#started && role === 'Following' && led
  }

  /** The runtime of a service served here. Throws SERVICE_NOT_SERVED. */
  get(service: string): AnyRuntime {
    const runtime = this.#runtimes.get(service)
    if (runtime !== undefined) return runtime
    throw new RpcError({
      code: 'NOT_FOUND',
      reason: 'SERVICE_NOT_SERVED',
      message: `this process serves ${[...this.#runtimes.keys()].join(', ')}, not "${service}"`,
    })
  }

  services(): readonly string[] {
    return [...this.#runtimes.keys()]
  }

  statuses(): readonly RuntimeStatus[] {
    return [...this.#runtimes.values()].map((runtime) => runtime.status())
  }

  /**
   * Starts all partitions. One that stops at a record it cannot fold is no reason to end: it says
   * so in its status, the others go on, and an administrator can look at the record and void it.
   */
  async start(): Promise<void> {
    const start = (runtime: AnyRuntime): Promise<void> =>
      runtime.start().catch((error: unknown) => {
        if (!(error instanceof FoldError)) throw error
      })
    await Promise.all([...this.#runtimes.values()].map(start))
    this.#started = true
    this.#health.changed()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#runtimes.values()].map((runtime) => runtime.stop()))
  }

  readonly #feed: FeedClient = async (service, request) => {
    const client = this.#peers.client(EventFeedServiceService, service)
    const page = await client.getFeedSnapshot({ service, types: [], ...request })
    return {
      events: page.events.map(publicEventFromProto),
      seq: Number(page.seq),
      offset: Number(page.offset),
      nextPageToken: page.nextPageToken,
    }
  }
}
