import {
  consumeEvents,
  type EventTable,
  feedSnapshots,
  watchedEvents,
} from '@serverless-ai/client/events'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import type { Peers } from '@serverless-ai/hosting/process'
import type { Ports } from '@serverless-ai/kernel'
import { type EventRoutes, ROUTE_SOURCES } from './event-routes.ts'
import type { EventSheds } from './event-sheds.ts'

/** Pause before a consumer that failed for good begins anew, ms. */
const AGAIN_MS = 2_000

type FollowPorts = Pick<Ports, 'clock' | 'timers' | 'randomness' | 'logger'>

async function followOne(
  source: string,
  about: {
    peers: Peers
    ports: FollowPorts
    table: EventTable
    required: boolean
    signal: AbortSignal
  },
): Promise<void> {
  const { peers, ports, table, required, signal } = about
  const { clock, timers, randomness, logger } = ports
  const feeds = peers.client(EventFeedServiceService, source)
  let told = ''
  while (!signal.aborted) {
    try {
      await consumeEvents({
        source: watchedEvents({ feeds, service: source, timers }),
        snapshots: feedSnapshots({ feeds, service: source, timers }),
        table,
        begin: 'snapshot',
        signal,
        clock,
        timers,
        randomness,
        onBootstrap: () => {
          told = ''
        },
      })
    } catch (error) {
      // What was known stays in use until the present state replaces it.
      const problem = String(error)
      const level = required ? 'error' : 'warn'
      if (problem !== told) logger.log(level, 'events are not followed', { source, problem })
      told = problem
      await timers.sleep(AGAIN_MS, signal).catch(() => undefined)
    }
  }
}

/**
 * Keeps routes, and what is to be shed, up to date with the public events of their sources; the
 * answer ends it. A platform without an SLA monitor never sheds by class.
 */
export function followEvents(about: {
  readonly peers: Peers
  readonly ports: FollowPorts
  readonly routes: EventRoutes
  readonly sheds: EventSheds
}): () => void {
  const { peers, ports, routes, sheds } = about
  const controller = new AbortController()
  const { signal } = controller
  for (const source of ROUTE_SOURCES) {
    const table = routes.tableOf(source)
    void followOne(source, { peers, ports, table, required: true, signal })
  }
  if (peers.knows('sla-monitor')) {
    const table = sheds.table()
    void followOne('sla-monitor', { peers, ports, table, required: false, signal })
  }
  return () => controller.abort()
}
