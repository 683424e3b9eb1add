import { consumeEvents, feedSnapshots, watchedEvents } from '@serverless-ai/client/events'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import type { Peers } from '@serverless-ai/hosting/process'
import type { Ports } from '@serverless-ai/kernel'
import { type EventRoutes, ROUTE_SOURCES, type RouteSource } from './event-routes.ts'

/** Pause before a consumer that failed for good begins anew, ms. */
const AGAIN_MS = 2_000

type FollowPorts = Pick<Ports, 'clock' | 'timers' | 'randomness' | 'logger'>

async function followOne(
  source: RouteSource,
  about: { peers: Peers; ports: FollowPorts; routes: EventRoutes; signal: AbortSignal },
): Promise<void> {
  const { peers, ports, routes, signal } = about
  const { clock, timers, randomness, logger } = ports
  const feeds = peers.client(EventFeedServiceService, source)
  while (!signal.aborted) {
    try {
      await consumeEvents({
        source: watchedEvents({ feeds, service: source, timers }),
        snapshots: feedSnapshots({ feeds, service: source, timers }),
        table: routes.tableOf(source),
        begin: 'snapshot',
        signal,
        clock,
        timers,
        randomness,
      })
    } catch (error) {
      // What was known stays in use until the present state replaces it.
      logger.log('error', 'routes are not followed', { source, error: String(error) })
      await timers.sleep(AGAIN_MS, signal).catch(() => undefined)
    }
  }
}

/** Keeps routes up to date with the public events of their sources; the answer ends it. */
export function followEvents(about: {
  readonly peers: Peers
  readonly ports: FollowPorts
  readonly routes: EventRoutes
}): () => void {
  const controller = new AbortController()
  const { signal } = controller
  for (const source of ROUTE_SOURCES) void followOne(source, { ...about, signal })
  return () => controller.abort()
}
