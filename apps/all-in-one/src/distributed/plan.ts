import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SERVICE_NAMES, type ServiceName, servicesWithout } from '@serverless-ai/contracts/services'
import { edgeAddress } from '@serverless-ai/gateway'
import type { AllInOneConfig } from '../config.ts'

/** Services have ten ports each, from ten above the platform's own: two for each replica. */
const PORTS_PER_SERVICE = 10
/** The edge has no log: a process of its own between the platform's ports and those of services. */
const GATEWAY = 'gateway'
const GATEWAY_PORT = 4

/** One process of the control plane. */
export interface ServiceProcess {
  /** `<service>-<replica>`: of its files, and in messages. */
  readonly name: string
  readonly service: ServiceName | typeof GATEWAY
  readonly replica: string
  /** gRPC `host:port`. */
  readonly address: string
  /** `/livez` and `/readyz` are below it. */
  readonly health: string
  /** Its configuration: it starts by hand with `--config FILE`, too. */
  readonly configFile: string
  /** What it writes to its output. */
  readonly logFile: string
  readonly main: string
  /** Content of the configuration file. */
  readonly config: Readonly<Record<string, unknown>>
}

/** Built main of a service in this checkout. */
const mainOf = (service: string): string =>
  fileURLToPath(new URL(`../../../../services/${service}/dist/main.js`, import.meta.url))

const ownKeys = (service: ServiceName, config: AllInOneConfig): object => {
  const { classes } = config.edge
  if (service === 'mediator') {
    return { workspaces: { maxTotalMib: config.workspacesMaxMib }, classes }
  }
  if (service === 'sla-monitor') return { classes }
  if (service === 'autoscaler') return config.scaling
  return service === 'pool-manager' ? { leaseMs: config.leaseMs } : {}
}

/**
 * The processes of a platform, each with its configuration; they share the data directory. The edge
 * comes last. What is left out leaves its ports free: those of the others stay where they are.
 */
export function planProcesses(init: {
  config: AllInOneConfig
  dataDir: string
  /** Copies of each topic partition. */
  replicationFactor: number
  /** Main of a service. Default: that of the product. */
  mains?: (service: ServiceName) => string
}): readonly ServiceProcess[] {
  const { config, dataDir, replicationFactor, mains = mainOf } = init
  const { host, logLevel, retentionDays, insecureDev, snapshots, tracing, without } = config
  const replicas = Array.from({ length: config.replicas }, (_, index) => `r${index + 1}`)
  const portOf = (service: ServiceName, replica: number): number =>
    config.port + (SERVICE_NAMES.indexOf(service) + 1) * PORTS_PER_SERVICE + 2 * replica
  const addresses = (service: ServiceName): string =>
    replicas.map((_, replica) => `${host}:${portOf(service, replica)}`).join(',')
  const names = servicesWithout(without)
  const peers = Object.fromEntries(names.map((name) => [name, addresses(name)]))
  const shared = { data: dataDir, host, logLevel, retentionDays, insecureDev, replicas, peers }
  const kafka = { ...config.kafka, replicationFactor }
  const process = (about: {
    service: ServiceProcess['service']
    replica: string
    port: number
    main: string
    own: object
  }): ServiceProcess => {
    const { service, replica, port, main, own } = about
    const name = `${service}-${replica}`
    return {
      name,
      service,
      replica,
      address: `${host}:${port}`,
      health: `http://${host}:${port + 1}`,
      configFile: join(dataDir, 'processes', `${name}.json`),
      logFile: join(dataDir, 'processes', `${name}.log`),
      main,
      config: { ...shared, port, replica, kafka, snapshots, tracing, ...own },
    }
  }
  const services = names.flatMap((service) => {
    const own = ownKeys(service, config)
    return replicas.map((replica, number) =>
      process({ service, replica, port: portOf(service, number), main: mains(service), own }),
    )
  })
  if (without.includes(GATEWAY)) return services
  const port = config.port + GATEWAY_PORT
  const own = { replicas: ['r1'], edge: { ...config.edge, ...edgeAddress(config, config.edge) } }
  const gateway = { service: GATEWAY, replica: 'r1', port, main: mainOf(GATEWAY), own } as const
  return [...services, process(gateway)]
}

/** Addresses of the replicas of a service, or of those of all services, with commas between. */
export const addressesOf = (processes: readonly ServiceProcess[], service?: ServiceName): string =>
  processes
    .filter((one) => (service === undefined ? one.service !== GATEWAY : one.service === service))
    .map(({ address }) => address)
    .join(',')
