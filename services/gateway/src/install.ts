import { ScalingServiceService } from '@serverless-ai/contracts/scaling/v1/scaling'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { uuidV7 } from '@serverless-ai/kernel'
import { isLoopback, rpcError } from '@serverless-ai/rpc'
import { TelemetrySender } from '@serverless-ai/telemetry-bus'
import { CalledDemand, type DemandSignal, NO_DEMAND } from './app/demand.ts'
import { EventRoutes } from './app/event-routes.ts'
import { EventSheds } from './app/event-sheds.ts'
import { followEvents } from './app/follow-events.ts'
import { Gateway } from './app/gateway.ts'
import { Measure } from './app/measure.ts'
import { watchGateway } from './app/metrics.ts'
import { type EdgeConfig, settingsOf } from './config.ts'
import { callersTransport, callsAs } from './rest/call-as.ts'

/** A gateway in a process of the control plane. */
export interface InstalledGateway {
  /** Listens. Answers the port. @throws the system's error, `LISTEN_REFUSED` */
  start(): Promise<number>
  /** Running requests may end, then the rest is cut. */
  stop(): Promise<void>
}

function senderOf({ options, ports }: ServiceKit): TelemetrySender | undefined {
  const { telemetry, replica } = options
  if (telemetry === undefined) return undefined
  const { clock, timers, randomness } = ports
  const bootId = uuidV7(clock.wallMs(), randomness.bytes(10))
  return new TelemetrySender({
    source: `gateway/${replica}`,
    bootId,
    bus: telemetry,
    clock,
    timers,
  })
}

/** How the autoscaler hears of held requests. Without it the gateway serves what runs. */
function demandOf({ options, ports, peers }: ServiceKit): DemandSignal {
  const { clock, logger } = ports
  if (!peers.knows('autoscaler')) {
    const problem =
      'held requests are told to nobody: no autoscaler is named by --peers.autoscaler HOST:PORT'
    logger.log('warn', problem)
    return NO_DEMAND
  }
  return new CalledDemand({
    scaling: peers.client(ScalingServiceService, 'autoscaler'),
    gateway: `gateway/${options.replica}`,
    ports: { clock, logger },
  })
}

/** Makes a gateway in a process of the control plane. */
export function installGateway(
  kit: ServiceKit,
  edge: EdgeConfig & { readonly host: string; readonly port: number },
): InstalledGateway {
  const { options, ports, peers, metrics, readiness, health } = kit
  const routes = new EventRoutes()
  const settings = settingsOf(edge)
  const sheds = new EventSheds({ classes: settings.classes, logger: ports.logger })
  const sender = senderOf(kit)
  const measure = new Measure({ sender, metrics })
  const callers = callersTransport(kit)
  const gateway = new Gateway({
    host: edge.host,
    port: edge.port,
    settings,
    table: routes,
    sheds,
    authenticate: options.authenticate,
    meter: measure,
    demand: demandOf(kit),
    ports,
    callAs: callsAs({ peers, ports, authenticate: options.authenticate }, callers.transport),
    eachSecond: (services) => measure.loads(services, ports.clock.monotonicMs()),
  })
  if (metrics !== undefined) watchGateway(metrics, gateway)
  health.resolve((name) => (name === 'gateway' ? routes.complete : undefined))
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
      unfollow = followEvents({ peers, ports, routes, sheds })
      return gateway.start()
    },
    async stop() {
      await gateway.stop(edge.stopGraceMs)
      unfollow?.()
      sender?.close()
      await callers.close()
    },
  }
}
