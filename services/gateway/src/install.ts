import type { ServiceKit } from '@serverless-ai/hosting/process'
import { isLoopback, rpcError } from '@serverless-ai/rpc'
import { NO_DEMAND } from './app/demand.ts'
import { EventRoutes } from './app/event-routes.ts'
import { followEvents } from './app/follow-events.ts'
import { Gateway } from './app/gateway.ts'
import { Measure } from './app/measure.ts'
import { watchGateway } from './app/metrics.ts'
import { type EdgeConfig, settingsOf } from './config.ts'

/** Time for running requests to end at a stop, ms. */
const STOP_GRACE_MS = 10_000

/** A gateway in a process of the control plane. */
export interface InstalledGateway {
  /** Listens. Answers the port. @throws the system's error, `LISTEN_REFUSED` */
  start(): Promise<number>
  /** Running requests may end, then the rest is cut. */
  stop(): Promise<void>
}

/** Makes a gateway in a process of the control plane. */
export function installGateway(
  kit: ServiceKit,
  edge: EdgeConfig & { readonly host: string; readonly port: number },
): InstalledGateway {
  const { options, ports, peers, metrics, readiness } = kit
  const routes = new EventRoutes()
  const measure = new Measure({ metrics })
  const gateway = new Gateway({
    host: edge.host,
    port: edge.port,
    settings: settingsOf(edge),
    table: routes,
    authenticate: options.authenticate,
    meter: measure,
    demand: NO_DEMAND,
    ports,
    eachSecond: (services) => measure.loads(services, ports.clock.monotonicMs()),
  })
  if (metrics !== undefined) watchGateway(metrics, gateway)
  readiness.add(() => (routes.complete ? [] : ['gateway: the routes are not known yet']))
  let unfollow: (() => void) | undefined
  return {
    async start() {
      if (!isLoopback(edge.host) && !options.insecureDev) {
        const message =
          `LISTEN_REFUSED: the edge speaks without TLS, ${edge.host} is not the loopback; put ` +
          'what ends TLS before it and add --insecure-dev'
        throw rpcError('LISTEN_REFUSED', { message })
      }
      unfollow = followEvents({ peers, ports, routes })
      return gateway.start()
    },
    async stop() {
      await gateway.stop(STOP_GRACE_MS)
      unfollow?.()
    },
  }
}
