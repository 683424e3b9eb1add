import type { PublicEvent } from '@serverless-ai/client/events'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import { Peers } from '@serverless-ai/hosting/process'
import { RpcError } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { memoryNetwork } from '@serverless-ai/rpc'
import { expect, test } from 'vitest'
import { shedEvent } from '../testing/shed-event.ts'
import { EventRoutes } from './event-routes.ts'
import { EventSheds } from './event-sheds.ts'
import { followEvents } from './follow-events.ts'

const chat = { jobId: 'j', tenant: 'a', name: 'chat' }
const ROUTES = '127.0.0.1:1'
const MONITOR = '127.0.0.1:2'

const toProto = ({ seq, atMs, payload, ...event }: PublicEvent) => {
  return { ...event, seq: BigInt(seq), atMs: BigInt(atMs), payload: Buffer.from(payload) }
}

/** A gateway's sources: those of routes have nothing to tell, the monitor may be there or not. */
function world(monitorAt?: string) {
  const ports = testPorts({ seed: 1 })
  const { time, logger } = ports
  const network = memoryNetwork({ timers: time })
  const principal = { subject: 's', tenant: '', roles: ['service'] }
  /** `present`: by service; `later`: what is published while somebody watches. */
  const serve = async (
    address: string,
    present: Readonly<Record<string, readonly PublicEvent[]>>,
    later: readonly PublicEvent[] = [],
  ) => {
    const server = network.server({ ...ports, authenticate: () => principal })
    server.add(EventFeedServiceService, {
      getFeedSnapshot: async ({ service }) => {
        const events = present[service]
        if (events !== undefined) {
          return { events: events.map(toProto), seq: 1n, offset: 0n, nextPageToken: '' }
        }
        throw new RpcError({ code: 'NOT_FOUND', reason: 'NOT_FOUND', message: service })
      },
      watchFeed: async function* (_, { signal }) {
        yield { events: later.map(toProto) }
        while (!signal.aborted) {
          await time.sleep(10_000, signal)
          yield { events: [] }
        }
      },
    })
    await server.listen(address)
    return server
  }
  const owners = ['mediator', 'scheduler', 'pool-manager']
  const addresses = new Map(owners.map((name) => [name, ROUTES]))
  if (monitorAt !== undefined) addresses.set('sla-monitor', monitorAt)
  const peers = new Peers({ transport: network.transport(), ports, addresses, token: 't' })
  const routes = new EventRoutes()
  const sheds = new EventSheds({ classes: ['interactive', 'batch'], logger })
  const start = async () => {
    await serve(ROUTES, { mediator: [], scheduler: [], 'pool-manager': [] })
    const end = followEvents({ peers, ports, routes, sheds })
    await time.advance(60_000)
    return end
  }
  return { time, logger, routes, sheds, start, serve }
}

test('an SLA monitor that nobody has named is not asked', async () => {
  const { logger, routes, start } = world()
  const end = await start()
  expect(routes.complete).toBe(true)
  expect(logger.lines).toEqual([])
  end()
})

test('a platform without an SLA monitor has its routes; it is told once', async () => {
  const { time, logger, routes, sheds, start } = world(ROUTES)
  const end = await start()
  await time.advance(600_000)
  expect(routes.complete).toBe(true)
  expect(sheds.rankFor(chat)).toBeUndefined()
  expect(logger.lines).toMatchObject([{ level: 'warn', fields: { source: 'sla-monitor' } }])
  end()
})

test('a monitor that comes late is heard; when it is away again its actions stay', async () => {
  const { time, routes, sheds, start, serve } = world(MONITOR)
  const end = await start()
  expect(routes.complete).toBe(true)
  const monitor = await serve(MONITOR, { 'sla-monitor': [shedEvent()] })
  await time.advance(60_000)
  expect(sheds.rankFor(chat)).toBe(1)
  await time.run(monitor.close(0))
  await time.advance(600_000)
  expect(sheds.rankFor(chat)).toBe(1)
  const withdrawn = { ...shedEvent({ withdrawnMs: 9n }), seq: 2 }
  await serve(MONITOR, { 'sla-monitor': [] }, [withdrawn])
  await time.advance(60_000)
  expect(sheds.rankFor(chat)).toBeUndefined()
  end()
})
