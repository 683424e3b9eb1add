import type { PublicEvent } from '@serverless-ai/client/events'
import {
  ServiceDeclared,
  ServiceDeclared_Affinity,
  ServiceDeclared_Protocol,
  ServiceEnded,
} from '@serverless-ai/contracts/events/v1/mediator'
import { TaskReadinessChanged } from '@serverless-ai/contracts/events/v1/pool_manager'
import { GangDraining, GangReleased } from '@serverless-ai/contracts/events/v1/scheduler'
import { expect, test } from 'vitest'
import { EventRoutes, type RouteSource } from './event-routes.ts'

const event = (type: string, payload: Uint8Array): PublicEvent => ({
  source: 'x',
  partition: 0,
  seq: 1,
  type: `serverlessai.events.v1.${type}`,
  key: 'j',
  tenant: 't',
  atMs: 0,
  payload,
})
const declared = (more: Partial<ServiceDeclared> = {}) => {
  const plain = ServiceDeclared.fromPartial({
    jobId: 'j',
    tenant: 't',
    name: 's',
    protocol: ServiceDeclared_Protocol.HTTP1,
    affinity: ServiceDeclared_Affinity.SESSION,
    concurrency: 4,
    tokens: 100n,
  })
  return event('ServiceDeclared', ServiceDeclared.encode({ ...plain, ...more }).finish())
}
const ended = event(
  'ServiceEnded',
  ServiceEnded.encode({ jobId: 'j', tenant: 't', name: 's', atMs: 0n }).finish(),
)
const ready = (gang: number, more: Partial<TaskReadinessChanged> = {}) => {
  const plain = TaskReadinessChanged.fromPartial({
    jobId: 'j',
    gang,
    generation: 1,
    address: '10.0.0.1',
    ready: true,
  })
  const ports = [8000 + gang]
  const bytes = TaskReadinessChanged.encode({ ...plain, ports, ...more }).finish()
  return event('TaskReadinessChanged', bytes)
}
const draining = (gang: number, generation = 1) =>
  event(
    'GangDraining',
    GangDraining.encode(GangDraining.fromPartial({ jobId: 'j', gang, generation })).finish(),
  )
const released = (gang: number, throughGeneration = 1) =>
  event(
    'GangReleased',
    GangReleased.encode({ jobId: 'j', gang, throughGeneration, cause: 'DRAINED' }).finish(),
  )

const mark = { seq: 1, offset: -1 }
function routesOf(start: Partial<Record<RouteSource, PublicEvent[]>> = {}) {
  const routes = new EventRoutes()
  const tables = {
    mediator: routes.tableOf('mediator'),
    scheduler: routes.tableOf('scheduler'),
    'pool-manager': routes.tableOf('pool-manager'),
  }
  const bootstrap = async (source: RouteSource, events: readonly PublicEvent[]) => {
    const about = { bootstrapId: 'b', after: undefined, mark, cause: { kind: 'FIRST' } as const }
    await tables[source].stage({ bootstrapId: 'b', page: 0, events })
    await tables[source].swap(about)
  }
  const apply = (source: RouteSource, ...events: PublicEvent[]) =>
    tables[source].apply({ after: undefined, events, mark })
  const gangs = () => routes.find('t', 's')?.replicas.map(({ gang }) => gang)
  const start1 = async () => {
    for (const source of ['mediator', 'scheduler', 'pool-manager'] as const) {
      await bootstrap(source, start[source] ?? [])
    }
  }
  return { routes, bootstrap, apply, gangs, start: start1 }
}

test('complete only when the present of all three sources is known', async () => {
  const { routes, bootstrap } = routesOf()
  await bootstrap('mediator', [declared()])
  await bootstrap('pool-manager', [ready(1)])
  expect(routes.complete).toBe(false)
  await bootstrap('scheduler', [])
  expect(routes.complete).toBe(true)
})

test('a declared service with its ready replicas', async () => {
  const { routes, start } = routesOf({ mediator: [declared()], 'pool-manager': [ready(1)] })
  await start()
  expect(routes.list()).toEqual([
    {
      jobId: 'j',
      tenant: 't',
      name: 's',
      protocol: 'http1',
      concurrency: 4,
      tokens: 100,
      class: '',
      sessions: true,
      replicas: [
        { gang: 1, generation: 1, address: '10.0.0.1:8001', ready: true, draining: false },
      ],
    },
  ])
})

test('whatever comes first: a released generation gets no requests, a newer one does', async () => {
  const { apply, gangs, start } = routesOf({ mediator: [declared()] })
  await start()
  await apply('scheduler', released(1))
  await apply('pool-manager', ready(1), ready(2))
  expect(gangs()).toEqual([2])
  await apply('pool-manager', ready(1, { generation: 2 }))
  expect(gangs()).toEqual([2, 1])
  await apply('pool-manager', ready(1, { generation: 1, ready: false }))
  expect(gangs()).toEqual([2, 1])
  await apply('pool-manager', ready(2, { ready: false, cause: 'GET /: 503' }))
  expect(gangs()).toEqual([1])
})

test('a draining replica is known as such until it is released', async () => {
  const { routes, apply, start } = routesOf({
    mediator: [declared()],
    'pool-manager': [ready(1)],
  })
  await start()
  const states = () => routes.find('t', 's')?.replicas.map((each) => each.draining)
  await apply('scheduler', draining(1))
  expect(states()).toEqual([true])
  await apply('scheduler', draining(1, 2))
  expect(states()).toEqual([false])
  await apply('scheduler', draining(1), released(1))
  expect(states()).toEqual([])
})

test('ranks above 0 and tasks without a port get no requests', async () => {
  const { apply, gangs, start } = routesOf({ mediator: [declared()] })
  await start()
  await apply('pool-manager', ready(1, { rank: 1 }), ready(2, { ports: [] }))
  expect(gangs()).toEqual([])
})

test('an ended service is gone; its name may be that of another', async () => {
  const { routes, apply, start } = routesOf({ mediator: [declared()] })
  await start()
  const told: string[] = []
  routes.onChange((jobId) => told.push(jobId))
  await apply('mediator', ended)
  expect(routes.find('t', 's')).toBeUndefined()
  await apply('mediator', declared({ jobId: 'k' }))
  expect(routes.find('t', 's')?.jobId).toBe('k')
  // The end of the older one comes late.
  await apply('mediator', ended)
  expect(routes.find('t', 's')?.jobId).toBe('k')
  expect(told).toEqual(['j', 'k', 'j'])
})

test('a new present replaces what was known of that source alone', async () => {
  const { routes, bootstrap, gangs, start } = routesOf({
    mediator: [declared()],
    'pool-manager': [ready(1), ready(2)],
  })
  await start()
  const told: string[] = []
  routes.onChange((jobId) => told.push(jobId))
  await bootstrap('pool-manager', [ready(2), ready(3)])
  expect(gangs()).toEqual([2, 3])
  expect(told).toEqual(['j'])
})

test('an address of IPv6 is written as in a URL', async () => {
  const { routes, apply, start } = routesOf({ mediator: [declared()] })
  await start()
  await apply('pool-manager', ready(1, { address: 'fd00::1' }))
  expect(routes.find('t', 's')?.replicas[0]?.address).toBe('[fd00::1]:8001')
})
