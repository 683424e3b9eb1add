// A gateway for benchmarks: its routes come from its parent, tokens are names of tenants.
import {
  DEFAULT_SETTINGS,
  Gateway,
  NO_DEMAND,
  type ServiceRoute,
  StaticRoutes,
} from '@serverless-ai/gateway'
import { quietPorts } from '../../support/quiet-ports.ts'

/** What the parent asks. */
export type Ask =
  | { readonly type: 'routes'; readonly services: readonly ServiceRoute[] }
  | { readonly type: 'memory' }

const table = new StaticRoutes()
const gateway = new Gateway({
  host: '127.0.0.1',
  port: 0,
  settings: { ...DEFAULT_SETTINGS, ...JSON.parse(process.argv[2] ?? '{}') },
  table,
  authenticate: (token) => ({ subject: token, tenant: token, roles: ['tenant'] }),
  meter: { ended: () => undefined },
  demand: NO_DEMAND,
  ports: quietPorts,
})
const port = await gateway.start()
process.on('message', (ask: Ask) => {
  if (ask.type === 'routes') {
    for (const service of ask.services) table.set(service)
    process.send?.({ done: true })
    return
  }
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const cpuMs = (cpu.user + cpu.system) / 1_000
  process.send?.({ rssBytes: process.memoryUsage.rss(), requests: gateway.requests, cpuMs })
})
process.once('disconnect', () => process.exit(0))
process.send?.({ port })
