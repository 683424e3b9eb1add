import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import { type Message, RpcError } from '@serverless-ai/kernel'
import type { HealthRegistry } from '@serverless-ai/rpc'
import {
  createRuntime,
  type FeedClient,
  type RuntimeStatus,
  type ServiceDefinition,
  type ServiceRuntime,
} from '@serverless-ai/runtime'
import { publicEventFromProto } from './feed.ts'
import type { PlatformOptions } from './options.ts'
import type { Peers } from './peers.ts'

/** A runtime without its type parameters: what the host itself needs of it. */
type AnyRuntime = Pick<
  ServiceRuntime<unknown, Message, Message>,
  'service' | 'partition' | 'start' | 'stop' | 'status' | 'digest' | 'feedSnapshot' | 'watchFeed'
>

/**
 * The partitions this process serves: made by the services' modules, started and stopped together.
 */
export class RuntimeHost {
  readonly #options: PlatformOptions
  readonly #peers: Peers
  readonly #health: HealthRegistry
  readonly #runtimes = new Map<string, AnyRuntime>()

  constructor(init: { options: PlatformOptions; peers: Peers; health: HealthRegistry }) {
    this.#options = init.options
    this.#peers = init.peers
    this.#health = init.health
  }

  /** Makes the runtime of a service. It starts with the host. */
  add<S, C extends Message, E extends Message>(
    definition: ServiceDefinition<S, C, E>,
  ): ServiceRuntime<S, C, E> {
    const { ports, eventLog, snapshots, replica, listen, partition } = this.#options
    const runtime = createRuntime(
      definition,
      { eventLog, snapshots, feed: this.#feed, replica, address: listen, partition },
      ports,
      this.#options.runtime,
    )
    this.#runtimes.set(definition.name, runtime)
    this.#health.set(definition.name, false)
    runtime.onLeadership((leading) => this.#health.set(definition.name, leading))
    return runtime
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

  async start(): Promise<void> {
    await Promise.all([...this.#runtimes.values()].map((runtime) => runtime.start()))
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
