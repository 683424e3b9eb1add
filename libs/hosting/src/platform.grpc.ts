import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import {
  AdminServiceService,
  type GetStatusRequest,
  type GetStatusResponse,
  type PartitionStatus,
} from '@serverless-ai/contracts/admin/v1/admin'
import {
  EventFeedServiceService,
  type GetFeedSnapshotRequest,
  type GetFeedSnapshotResponse,
  type WatchFeedRequest,
  type WatchFeedResponse,
} from '@serverless-ai/contracts/feed/v1/feed'
import type { CallContext, TransportServer } from '@serverless-ai/kernel'
import { publicEventToProto } from './feed.ts'
import type { PlatformOptions } from './options.ts'
import type { Peers } from './peers.ts'
import type { RuntimeHost } from './runtime-host.ts'
import { GRPC_SERVER, PEERS, PLATFORM_OPTIONS, RUNTIME_HOST } from './tokens.ts'

/**
 * What every process of the control plane serves: its status and the bootstrap feeds of its
 * services.
 */
@Injectable()
export class PlatformGrpc implements OnModuleInit {
  readonly #server: TransportServer
  readonly #host: RuntimeHost
  readonly #peers: Peers
  readonly #options: PlatformOptions

  constructor(
    @Inject(GRPC_SERVER) server: TransportServer,
    @Inject(RUNTIME_HOST) host: RuntimeHost,
    @Inject(PEERS) peers: Peers,
    @Inject(PLATFORM_OPTIONS) options: PlatformOptions,
  ) {
    this.#server = server
    this.#host = host
    this.#peers = peers
    this.#options = options
  }

  onModuleInit(): void {
    this.#server.add(AdminServiceService, { getStatus: (request) => this.#status(request) })
    this.#server.add(EventFeedServiceService, {
      getFeedSnapshot: (request) => this.#snapshot(request),
      watchFeed: (request, context) => this.#watch(request, context),
    })
  }

  async #status(request: GetStatusRequest): Promise<GetStatusResponse> {
    const partitions: PartitionStatus[] = []
    for (const { blocked: _, ...status } of this.#host.statuses()) {
      const digest = request.withDigest ? await this.#host.get(status.service).digest() : undefined
      partitions.push({
        ...status,
        epoch: BigInt(status.epoch),
        // The digest belongs to a position of its own: the log goes on while it is computed.
        position: BigInt(Math.max(0, digest?.position ?? status.position)),
        publicSeq: BigInt(status.publicSeq),
        publishedSeq: BigInt(status.publishedSeq),
        lastSnapshotPosition: BigInt(Math.max(0, status.lastSnapshotPosition)),
        oldestEffectAgeMs: BigInt(Math.trunc(status.oldestEffectAgeMs)),
        digest: digest?.digest ?? '',
        unreachablePeers: this.#peers.unreachable(),
      })
    }
    return {
      partitions,
      version: this.#options.version,
      dataDir: this.#options.dataDir,
      durability: this.#options.eventLog.durability,
      nowMs: BigInt(Math.trunc(this.#options.ports.clock.wallMs())),
    }
  }

  async #snapshot(request: GetFeedSnapshotRequest): Promise<GetFeedSnapshotResponse> {
    const page = await this.#host.get(request.service).feedSnapshot({
      types: request.types,
      pageSize: request.pageSize === 0 ? 500 : Math.min(request.pageSize, 1_000),
      pageToken: request.pageToken,
    })
    return {
      events: page.events.map(publicEventToProto),
      seq: BigInt(page.seq),
      offset: BigInt(Math.max(0, page.offset)),
      nextPageToken: page.nextPageToken,
    }
  }

  async *#watch(
    request: WatchFeedRequest,
    context: CallContext,
  ): AsyncGenerator<WatchFeedResponse> {
    const signal = AbortSignal.any([context.signal, this.#server.stopping])
    const feed = this.#host.get(request.service).watchFeed(Number(request.afterSeq), signal)
    for await (const events of feed) yield { events: events.map(publicEventToProto) }
  }
}
