import {
  AdminServiceService,
  type GetStatusRequest,
  type GetStatusResponse,
  type PartitionStatus,
  type VoidRecordRequest,
  type VoidRecordResponse,
} from '@serverless-ai/contracts/admin/v1/admin'
import {
  EventFeedServiceService,
  type GetFeedSnapshotRequest,
  type GetFeedSnapshotResponse,
  type WatchFeedRequest,
  type WatchFeedResponse,
} from '@serverless-ai/contracts/feed/v1/feed'
import type { CallContext } from '@serverless-ai/kernel'
import { raiseFeatureLevel } from './feature-levels.ts'
import { publicEventToProto } from './feed.ts'
import type { ServiceKit } from './service-kit.ts'

type PlatformKit = Pick<ServiceKit, 'options' | 'ports' | 'server' | 'peers' | 'host' | 'transport'>

/** Serves what every process of the control plane has: its status and the feeds of its services. */
export function addPlatformHandlers(kit: PlatformKit): void {
  kit.server.add(AdminServiceService, {
    getStatus: (request) => status(kit, request),
    raiseFeatureLevel: (request) => raiseFeatureLevel(kit, request),
    voidRecord: (request) => voidRecord(kit, request),
  })
  kit.server.add(EventFeedServiceService, {
    getFeedSnapshot: (request) => snapshot(kit, request),
    watchFeed: (request, context) => watch(kit, request, context),
  })
}

async function status(
  { host, peers, options, ports }: PlatformKit,
  request: GetStatusRequest,
): Promise<GetStatusResponse> {
  const partitions: PartitionStatus[] = []
  for (const { blocked: _, ...found } of host.statuses()) {
    const digest = request.withDigest ? await host.get(found.service).digest() : undefined
    partitions.push({
      ...found,
      epoch: BigInt(found.epoch),
      // The digest belongs to a position of its own: the log goes on while it is computed.
      position: BigInt(Math.max(0, digest?.position ?? found.position)),
      publicSeq: BigInt(found.publicSeq),
      publishedSeq: BigInt(found.publishedSeq),
      lastSnapshotPosition: BigInt(Math.max(0, found.lastSnapshotPosition)),
      oldestEffectAgeMs: BigInt(Math.trunc(found.oldestEffectAgeMs)),
      digest: digest?.digest ?? '',
      unreachablePeers: peers.unreachable(),
    })
  }
  return {
    partitions,
    version: options.version,
    dataDir: options.dataDir,
    durability: options.eventLog.durability,
    nowMs: BigInt(Math.trunc(ports.clock.wallMs())),
    replica: options.replica,
    replicas: [...(options.replicas ?? [options.replica])],
  }
}

async function voidRecord(
  { host }: PlatformKit,
  request: VoidRecordRequest,
): Promise<VoidRecordResponse> {
  const { service, recordHash, validateOnly } = request
  const position = Number(request.position)
  const outcome = await host.get(service).voidRecord({ position, recordHash, validateOnly })
  return {
    ...outcome,
    events: [...outcome.events],
    atMs: BigInt(outcome.atMs),
    voidPosition: BigInt(outcome.voidPosition),
  }
}

async function snapshot(
  { host }: PlatformKit,
  request: GetFeedSnapshotRequest,
): Promise<GetFeedSnapshotResponse> {
  const page = await host.get(request.service).feedSnapshot({
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

async function* watch(
  { host, server }: PlatformKit,
  request: WatchFeedRequest,
  context: CallContext,
): AsyncGenerator<WatchFeedResponse> {
  const signal = AbortSignal.any([context.signal, server.stopping])
  const feed = host.get(request.service).watchFeed(Number(request.afterSeq), signal)
  for await (const events of feed) yield { events: events.map(publicEventToProto) }
}
