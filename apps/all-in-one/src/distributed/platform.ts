import { resolve } from 'node:path'
import { kafkaSettings } from '@serverless-ai/config'
import {
  applyTopics,
  countBrokers,
  EVENTS_RETENTION_MS,
  KafkaLogError,
  openKafkaLog,
  planTopics,
} from '@serverless-ai/eventlog/kafka'
import {
  type Credentials,
  LogStartError,
  makeDataDirectory,
  openCredentials,
  Peers,
  SERVICE_NAMES,
  type ServiceName,
  systemPorts,
} from '@serverless-ai/hosting'
import type { Ports } from '@serverless-ai/kernel'
import type { DirectoryLock } from '@serverless-ai/node-agent'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { writeCliContext } from '../cli-context.ts'
import { type AllInOneConfig, nodeIdsOf, QUICKSTART_TENANTS } from '../config.ts'
import { LocalNodes, localNodeConfigs } from '../local-nodes.ts'
import { nodesReady } from '../nodes-ready.ts'
import { edgeIfAny, greetDistributed, type PlatformOutput } from '../output.ts'
import { bringUp, type RunningPlatform } from '../running.ts'
import { checkHistory, takeDirectory } from './directory.ts'
import { serveHealth } from './health-server.ts'
import { addressesOf, planProcesses, type ServiceProcess } from './plan.ts'
import { ServiceProcesses } from './processes.ts'

const DAY_MS = 86_400_000
/** How often all processes are asked at the start whether they serve, ms. */
const READY_EVERY_MS = 200

/** Topics are made by brokers that answer; one that has much to do may take its time. */
const TOPICS_ATTEMPTS = 3

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const again = error instanceof KafkaLogError && error.code === 'UNREACHABLE'
      if (!again || attempt === TOPICS_ATTEMPTS) throw error
    }
  }
}

interface Topics {
  readonly replicationFactor: number
  /** For people. */
  readonly text: string
}

/**
 * Makes the topics of the platform, with as many copies as there are brokers for, and looks whether
 * their history is that of the data directory.
 * @throws LogStartError, DataDirectoryError
 */
async function prepareTopics(ground: {
  config: AllInOneConfig
  ports: Ports
  dataDir: string
}): Promise<Topics> {
  const { config, ports, dataDir } = ground
  const { kafka, retentionDays } = config
  const connection = { ...kafkaSettings(kafka), ports }
  try {
    const brokers = await countBrokers(connection)
    const replicationFactor = Math.min(kafka.replicationFactor, brokers)
    const eventsRetentionMs = Math.max(EVENTS_RETENTION_MS, (retentionDays ?? 0) * DAY_MS)
    const services = SERVICE_NAMES
    const settings = { replication: replicationFactor, eventsRetentionMs, telemetry: true }
    const plan = planTopics({ services, ...settings })
    const left = await patiently(() => applyTopics(connection, plan))
    const [wrong] = left
    if (wrong !== undefined) {
      const { topic, setting, wanted, found, mend } = wrong
      throw new LogStartError(
        `TOPICS_NOT_READY: ${topic}: ${setting} is ${found}, not ${wanted}: ${mend}`,
      )
    }
    const log = await openKafkaLog(connection)
    await checkHistory(dataDir, log).finally(() => log.close())
    const survives =
      replicationFactor < 3
        ? 'survives the death of a broker process, not power loss'
        : 'survives a broker'
    const copies = `${replicationFactor} of each: ${survives}`
    const text = `${plan.length} topics are as they must be, ${copies}`
    return { replicationFactor, text }
  } catch (error) {
    if (!(error instanceof KafkaLogError)) throw error
    throw new LogStartError(`KAFKA_${error.code}: ${error.message}`, { cause: error })
  }
}

interface Ground {
  readonly config: AllInOneConfig
  readonly ports: Ports
  readonly dataDir: string
  readonly credentials: Credentials
  readonly plan: readonly ServiceProcess[]
  readonly topics: Topics
  readonly lock: DirectoryLock
}

async function openGround(
  config: AllInOneConfig,
  mains: ((service: ServiceName) => string) | undefined,
): Promise<Ground> {
  const ports = systemPorts('all-in-one', config.logLevel)
  const dataDir = resolve(config.data)
  makeDataDirectory(dataDir, ['snapshots'])
  const lock = await takeDirectory(dataDir, ports.timers)
  const { randomness } = ports
  const nodes = nodeIdsOf(config)
  const credentials = openCredentials({ dataDir, randomness, tenants: QUICKSTART_TENANTS, nodes })
  const topics = await prepareTopics({ config, ports, dataDir })
  const { replicationFactor } = topics
  const base = { config, dataDir, replicationFactor }
  const plan = planProcesses(mains === undefined ? base : { ...base, mains })
  return { config, ports, dataDir, credentials, plan, topics, lock }
}

/**
 * The whole platform on Kafka: each replica of each service is a process of its own, started and
 * looked after by this one, which leads nothing itself. When the start fails, or `signal` is
 * aborted during it, everything that it has started is ended first.
 */
export async function startDistributed(
  config: AllInOneConfig,
  output: PlatformOutput,
  more: {
    readonly signal?: AbortSignal
    /** Mains to run instead of the product's (fault tests do that). */
    readonly mains?: (service: ServiceName) => string
  } = {},
): Promise<RunningPlatform> {
  const { signal, mains } = more
  const startedMs = performance.now()
  const ground = await openGround(config, mains)
  const { ports, dataDir, credentials, plan, lock } = ground
  const transport = createGrpcTransport({ clock: ports.clock })
  const services = new ServiceProcesses(ports, { dataDir, plan, transport })
  const addresses = {
    pool: addressesOf(plan, 'pool-manager'),
    workspaces: addressesOf(plan, 'mediator'),
    telemetry: addressesOf(plan, 'resource-profiler'),
  }
  const configs = localNodeConfigs({ config, dataDir, tokens: credentials.nodes, addresses })
  const nodes = new LocalNodes(ports, { dataDir, configs })
  const each = SERVICE_NAMES.map((name) => [name, addressesOf(plan, name)] as const).filter(
    ([, addresses]) => addresses !== '',
  )
  const peers = new Peers({
    transport,
    ports,
    addresses: new Map(each),
    token: credentials.service,
  })
  const connected = nodesReady(peers, config.nodes)
  const missing = async () => [...(await services.missing()), ...(await connected())]
  const { host, port } = config
  const health = await serveHealth({ host, port: port + 1, missing })
  const end = async (): Promise<void> => {
    await nodes.stop()
    await services.stop()
    await transport.close()
    health.close()
    await lock.release()
  }
  const address = addressesOf(plan)
  const begin = async (): Promise<void> => {
    await services.start(signal)
    signal?.throwIfAborted()
    writeCliContext({ dataDir, address, edge: edgeIfAny(config), credentials })
    const local = await nodes.start()
    greetDistributed(output, { config, plan, topics: ground.topics.text, local })
  }
  return bringUp({
    platform: { address, ports, dataDir, credentials, config, output },
    begin,
    missing,
    askEveryMs: READY_EVERY_MS,
    parts: `${plan.length} processes, ${config.nodes} nodes connected`,
    end,
    startedMs,
    signal,
  })
}
