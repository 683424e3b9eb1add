import type { Ports, Transport, TransportServer } from '@serverless-ai/kernel'
import type { HealthRegistry } from '@serverless-ai/rpc'
import type { Metrics } from '@serverless-ai/telemetry'
import type { PlatformOptions } from './options.ts'
import type { Peers } from './peers.ts'
import type { Readiness } from './readiness.ts'
import type { RuntimeHost } from './runtime-host.ts'

/** What a process of the control plane offers to the services that are installed in it. */
export interface ServiceKit {
  readonly options: PlatformOptions
  readonly ports: Ports
  /** Services add their definitions before it listens. */
  readonly server: TransportServer
  /** Outgoing calls, plain: no redirect, no retry. */
  readonly transport: Transport
  /** Typed clients of the other services. */
  readonly peers: Peers
  /** The partitions of this process. */
  readonly host: RuntimeHost
  readonly health: HealthRegistry
  readonly readiness: Readiness
  /** Metrics of this process; undefined where nobody wants them. */
  readonly metrics: Metrics | undefined
  /** Called right before the partitions start. */
  onStart(hook: () => void): void
  /** Called at the stop, before the server closes: ends what the service has opened. */
  onStop(hook: () => void): void
}
