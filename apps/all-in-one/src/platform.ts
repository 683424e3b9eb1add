import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { servicesWithout } from '@serverless-ai/contracts/services'
import {
  type Credentials,
  DataDirectoryError,
  LogStartError,
  listenHttp,
  openPlatform,
  type PlatformOptions,
  SERVICE_KIT,
  type ServiceKit,
  startServices,
  systemPorts,
} from '@serverless-ai/hosting'
import { writeCliContext } from './cli-context.ts'
import { type AllInOneConfig, nodeIdsOf, QUICKSTART_TENANTS } from './config.ts'
import { createControlPlane } from './control-plane.ts'
import { PROCESSES_FILE } from './distributed/record.ts'
import { LocalNodes, localNodeConfigs } from './local-nodes.ts'
import { nodesReady } from './nodes-ready.ts'
import { edgeIfAny, greet, type PlatformOutput } from './output.ts'
import { bringUp, type RunningPlatform } from './running.ts'

/** How often it is asked at the start whether everything serves, ms. */
const READY_EVERY_MS = 25

type Opened = { readonly options: PlatformOptions; readonly credentials: Credentials }

/**
 * Opens data directory, log and tokens of the all-in-one.
 * @throws LogStartError, DataDirectoryError, and what `openPlatform` throws
 */
async function openAllInOne(config: AllInOneConfig): Promise<Opened> {
  const data = resolve(config.data)
  if (config.replicas > 1) {
    throw new LogStartError(
      `REPLICAS_NEED_KAFKA: without it one process runs all services: add --kafka HOST:PORT, or ` +
        'leave --replicas out',
    )
  }
  if (existsSync(join(data, PROCESSES_FILE))) {
    throw new DataDirectoryError(
      `DATA_DIRECTORY_OF_ANOTHER_LOG: ${data} belongs to a history on Kafka; start it with ` +
        '--kafka HOST:PORT, or choose another one with --data DIR',
    )
  }
  return openPlatform({
    config,
    ports: systemPorts('all-in-one', config.logLevel, config.replica),
    tenants: QUICKSTART_TENANTS,
    nodes: nodeIdsOf(config),
    peers: {},
    services: servicesWithout(config.without),
    required: [],
  })
}

/**
 * Starts everything on opened ground; `opened` may carry wrapped ports (fault tests do that). When
 * the start fails, or `signal` is aborted during it, everything that it has started is ended first.
 */
export async function startPlatform(
  config: AllInOneConfig,
  output: PlatformOutput,
  more: { readonly opened?: Opened; readonly signal?: AbortSignal } = {},
): Promise<RunningPlatform> {
  const { opened, signal } = more
  const startedMs = performance.now()
  const { options, credentials } = opened ?? (await openAllInOne(config))
  const { ports, dataDir } = options
  const address = `127.0.0.1:${config.port}`
  const addresses = { pool: address, workspaces: address, telemetry: address }
  const configs = localNodeConfigs({ config, dataDir, tokens: credentials.nodes, addresses })
  const nodes = new LocalNodes(ports, { dataDir, configs })
  const app = await createControlPlane(options, config)
  const { readiness, peers } = app.get<ServiceKit>(SERVICE_KIT)
  const end = async (): Promise<void> => {
    await nodes.stop()
    await app.close()
  }
  const begin = async (): Promise<void> => {
    readiness.add(nodesReady(peers, config.nodes))
    // Before the nodes: a port that is taken must not leave any of them behind.
    await listenHttp(app, config)
    await startServices(app)
    signal?.throwIfAborted()
    writeCliContext({ dataDir, address: options.listen, edge: edgeIfAny(config), credentials })
    greet(output, { config, options, local: await nodes.start() })
  }
  return bringUp({
    platform: { address: options.listen, ports, dataDir, credentials, config, output },
    begin,
    missing: () => readiness.missing(),
    askEveryMs: READY_EVERY_MS,
    parts: `${config.nodes} nodes connected`,
    end,
    startedMs,
    signal,
  })
}
