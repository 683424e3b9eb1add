import { readDescriptorSet } from '@serverless-ai/contracts'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { Transport, TransportServer } from '@serverless-ai/kernel'
import {
  addHealth,
  addReflection,
  createGrpcServer,
  createGrpcTransport,
  HealthRegistry,
} from '@serverless-ai/rpc'
import type { PlatformOptions } from './options.ts'
import { Peers } from './peers.ts'
import { addPlatformHandlers } from './platform-handlers.ts'
import { Readiness } from './readiness.ts'
import { RuntimeHost } from './runtime-host.ts'
import type { ServiceKit } from './service-kit.ts'
import { callObserver } from './telemetry/call-metrics.ts'

/** Time for running calls to end at shutdown, ms. */
const DRAIN_MS = 1_000

/** Where every service is that is known: the configured ones, and those that run here. */
function addressesOf(options: PlatformOptions): ReadonlyMap<string, string> {
  const { peers, listen, services = SERVICE_NAMES } = options
  return new Map([...services.map((name) => [name, listen] as const), ...Object.entries(peers)])
}

function createServer(options: PlatformOptions): TransportServer {
  const { ports, authenticate, insecureDev } = options
  const { clock, timers, logger } = ports
  const told = telemetryOf(options)
  const rules = { clock, timers, logger, authenticate, insecureDev, ...told, ...tlsOf(options) }
  return (options.server ?? createGrpcServer)(rules)
}

const tlsOf = ({ tls }: PlatformOptions) => (tls === undefined ? {} : { tls })

const telemetryOf = ({ metrics, ports }: PlatformOptions) => ({
  observer: metrics === undefined ? undefined : callObserver(metrics),
  tracer: ports.tracer,
})

function createTransport(options: PlatformOptions): Transport {
  const { ports, tls } = options
  return createGrpcTransport({
    clock: ports.clock,
    ...telemetryOf(options),
    ...(tls === undefined ? {} : { tls: tls.source }),
  })
}

/**
 * A process of the control plane, as production and the simulator run it: the services that are
 * installed in its {@link ServiceKit}, their partitions, the server, the calls to peers. It awaits
 * nothing but the ports it was given.
 */
export class ControlPlaneProcess {
  readonly kit: ServiceKit
  readonly #starting: (() => void)[] = []
  readonly #stopping: (() => void)[] = []

  constructor(options: PlatformOptions) {
    const { ports } = options
    const transport: Transport = options.transport ?? createTransport(options)
    const health = new HealthRegistry()
    const peers = new Peers({
      transport,
      ports,
      addresses: addressesOf(options),
      token: options.serviceToken,
    })
    const host = new RuntimeHost({ options, peers, health, transport })
    this.kit = {
      options,
      ports,
      server: createServer(options),
      transport,
      peers,
      host,
      health,
      readiness: new Readiness({ health, peers, host }),
      metrics: options.metrics,
      onStart: (hook) => this.#starting.push(hook),
      onStop: (hook) => this.#stopping.push(hook),
    }
    addPlatformHandlers(this.kit)
    addHealth(this.kit.server, health)
    addReflection(this.kit.server, readDescriptorSet)
  }

  /**
   * Partitions (fold, claim), then gRPC, then the first look at the peers. Where there are several
   * replicas gRPC is first: the others ask a leader for its health from its claim on.
   */
  async start(): Promise<void> {
    const { options, ports, server, host, peers } = this.kit
    const { listen, required, replicas = [] } = options
    for (const hook of this.#starting) hook()
    const steps = [() => host.start(), () => server.listen(listen)]
    if (replicas.length > 1) steps.reverse()
    for (const step of steps) await step()
    const served = host.services()
    await peers.watch(required.filter((service) => !served.includes(service)))
    ports.logger.log('info', 'serving', { address: listen, services: served })
  }

  /**
   * Health NOT_SERVING, no new calls, streams end, partitions finish their batch, snapshot and
   * yield, the log is closed. Where there are several replicas gRPC is last: as long as a leader
   * has not yielded it answers for its claim, and nobody takes it for dead.
   */
  async stop(): Promise<void> {
    const { options, server, host, peers, health, transport } = this.kit
    const { replicas = [] } = options
    health.drain()
    peers.stop()
    for (const hook of this.#stopping) hook()
    const steps = [() => server.close(DRAIN_MS), () => host.stop()]
    if (replicas.length > 1) steps.reverse()
    for (const step of steps) await step()
    await options.telemetry?.close()
    await transport.close()
    options.tls?.source.close?.()
    await options.eventLog.close()
    await options.closeTracing?.()
  }
}
