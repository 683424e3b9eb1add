import type { EventLog, SnapshotStore } from '@serverless-ai/eventlog'
import type { Ports, Transport, TransportServer } from '@serverless-ai/kernel'
import type { Authenticate, GrpcServerOptions, ServerTls } from '@serverless-ai/rpc'
import type { RuntimeOptions } from '@serverless-ai/runtime'
import type { Metrics } from '@serverless-ai/telemetry'
import type { TelemetryBus } from '@serverless-ai/telemetry-bus'

/** What a process of the control plane is given. */
export interface PlatformOptions {
  readonly ports: Ports
  readonly eventLog: EventLog
  readonly snapshots: SnapshotStore
  /** Configured, stable name of this replica. */
  readonly replica: string
  /**
   * Names of all replicas of the services that this process serves, its own included. Default: its
   * own alone. Several need a log that several processes may open.
   */
  readonly replicas?: readonly string[]
  /** gRPC `host:port` to listen on. */
  readonly listen: string
  /** `host:port` at which others reach this process: in claims and redirects. Default: `listen`. */
  readonly advertise?: string
  /**
   * Address of each service, or the addresses of its replicas with commas between. One that is
   * neither here nor in `services` is not known: calls to it fail.
   */
  readonly peers: Readonly<Record<string, string>>
  /** Services with a log that this process runs. Default: all. */
  readonly services?: readonly string[]
  /** Token of the role `service`, for calls between services. */
  readonly serviceToken: string
  readonly authenticate: Authenticate
  /** Allows listening beyond the loopback without transport security. */
  readonly insecureDev: boolean
  /** Mutual TLS of incoming and outgoing calls, followed while it is replaced. Default: none. */
  readonly tls?: ServerTls
  /** Cell. */
  readonly partition: number
  readonly dataDir: string
  readonly version: string
  /** Services whose name must be served by this process or answer for it to be ready. */
  readonly required: readonly string[]
  /** Outgoing calls. Default: gRPC. */
  readonly transport?: Transport
  /** Makes the server for incoming calls. Default: gRPC. */
  readonly server?: (options: GrpcServerOptions) => TransportServer
  /** Settings of the partitions. Default: those of the runtime. */
  readonly runtime?: RuntimeOptions
  /**
   * Carries measurements between services; closed with the process. Default: none, and whoever
   * judges by measurements does without.
   */
  readonly telemetry?: TelemetryBus
  /** Where the process counts what it does. Default: nowhere. */
  readonly metrics?: Metrics
  /** Sends the spans that wait; called last. Default: nothing to do. */
  readonly closeTracing?: () => Promise<void>
}
