import type { Readable } from 'node:stream'
import type { NewQueue, PlatformClient } from '@serverless-ai/client'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { systemTimers } from '@serverless-ai/kernel/system'
import {
  AbstractStartedContainer,
  GenericContainer,
  type StartedTestContainer,
  type StopOptions,
  type StoppedTestContainer,
  Wait,
} from 'testcontainers'
import { withEngine } from './engine.ts'
import { type NodeSignal, PlatformHandle } from './handle.ts'
import type {
  EventArea,
  EventFilter,
  Identity,
  JobState,
  NodeShape,
  PlatformBuilder,
  TestEvent,
  TestPlatform,
  WaitOptions,
} from './platform.ts'
import { freePorts } from './ports.ts'
import { configOf, defaultSettings, nodeIdsOf } from './settings.ts'

/** Image of this version. Without a registry `node tools/images.ts` of the repository makes it. */
export const DEFAULT_IMAGE = 'serverless-ai/control-plane:0.2.0'

const GRPC_PORT = 7070
/** gRPC and health of the platform, and ten ports for each service behind them. */
const PORTS_PER_SERVICE = 10
const PORTS_ON_KAFKA = PORTS_PER_SERVICE * (1 + SERVICE_NAMES.length)
const CONFIG_FILE = '/etc/serverless-ai/config.json'
const DATA = '/var/lib/serverless-ai'
const START_TIMEOUT_MS = 240_000
const LINES_KEPT = 40

/** Reads the record of a node in the container and signals what it names. */
const SIGNAL_SCRIPT = `
const [file, name, whom] = process.argv.slice(1)
const { pid, agentPid } = JSON.parse(require('node:fs').readFileSync(file, 'utf8'))
for (const one of whom === 'all' ? [agentPid, pid] : [pid]) {
  if (one === 0) continue
  try { process.kill(one, name) } catch (error) { if (error.code !== 'ESRCH') throw error }
}`

/** The whole platform in one container, with emulated devices and real processes as tasks. */
export class ServerlessAiContainer
  extends GenericContainer
  implements PlatformBuilder<StartedServerlessAiContainer>
{
  readonly #image: string
  readonly #settings = defaultSettings()
  #kafka: { readonly brokers: string; readonly replicas: number } | undefined

  /** @param image default: that of this version */
  constructor(image: string = DEFAULT_IMAGE) {
    super(image)
    this.#image = image
    this.withStartupTimeout(START_TIMEOUT_MS)
  }

  /** The log is inside the container (default). */
  withEmbeddedLog(): this {
    this.#kafka = undefined
    return this
  }

  /**
   * The log is on Kafka, and each replica of each service is a process of its own in the container.
   * @param brokers `host:port` as the container reaches it, several with commas between
   */
  withKafka(brokers: string, { replicas = 1 }: { readonly replicas?: number } = {}): this {
    this.#kafka = { brokers, replicas }
    return this
  }

  withNodes(count: number, shape: NodeShape = {}): this {
    this.#settings.nodes = count
    this.#settings.shape = shape
    return this
  }

  withConfig(config: Readonly<Record<string, unknown>>): this {
    this.#settings.config = { ...this.#settings.config, ...config }
    return this
  }

  withRetriesDisabled(): this {
    this.#settings.retries = false
    return this
  }

  /**
   * Starts it; resolves when every service leads and every node is connected.
   * @throws EngineMissingError, ImageMissingError; Error with the newest lines of the platform
   */
  override start(): Promise<StartedServerlessAiContainer> {
    const mend = 'name another image, or make it: node tools/images.ts'
    return withEngine({ image: this.#image, mend }, () => this.#start())
  }

  async #start(): Promise<StartedServerlessAiContainer> {
    const kafka = this.#kafka
    // On Kafka a replica tells where the leader is: it must be there for us, too.
    const port = kafka === undefined ? GRPC_PORT : await freePorts(PORTS_ON_KAFKA)
    const log =
      kafka === undefined
        ? {}
        : { kafka: { brokers: kafka.brokers.split(',') }, replicas: kafka.replicas }
    const config = { ...configOf(this.#settings), host: '0.0.0.0', port, insecureDev: true, ...log }
    this.withCommand(['all-in-one', '--config', CONFIG_FILE])
    this.withCopyContentToContainer([
      { content: JSON.stringify(config), target: CONFIG_FILE, mode: 0o644 },
    ])
    const grpc = grpcPorts(port, kafka?.replicas)
    const one = (container: number) =>
      kafka === undefined ? container : { container, host: container }
    this.withExposedPorts(...[port + 1, ...new Set(Object.values(grpc).flat())].map(one))
    this.withHealthCheck({
      test: ['CMD', 'sai-health', String(port + 1)],
      interval: 500,
      timeout: 3_000,
      retries: 1_000,
    })
    this.withWaitStrategy(Wait.forHealthCheck())
    const lines: string[] = []
    this.withLogConsumer((stream: Readable) => keepLines(stream, lines))
    try {
      const container = await super.start()
      const tokens = await readTokens(container)
      const base = { container, tokens, grpc, lines, nodeIds: nodeIdsOf(this.#settings) }
      return new StartedServerlessAiContainer({ ...base, retries: this.#settings.retries })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const said = lines.join('\n')
      throw new Error(`the platform did not start: ${reason}\n${said}`, { cause: error })
    }
  }
}

/** gRPC ports in the container of each service: one for all, or those of its replicas. */
function grpcPorts(port: number, replicas: number | undefined): GrpcPorts {
  const of = (service: number): readonly number[] => {
    if (replicas === undefined) return [port]
    const first = port + (service + 1) * PORTS_PER_SERVICE
    return Array.from({ length: replicas }, (_, replica) => first + 2 * replica)
  }
  return {
    mediator: of(0),
    scheduler: of(1),
    'pool-manager': of(2),
    'fault-tolerance': of(3),
    'sla-monitor': of(4),
    autoscaler: of(5),
    'resource-profiler': of(6),
  }
}

type GrpcPorts = Readonly<Record<EventArea, readonly number[]>>

function keepLines(stream: Readable, lines: string[]): void {
  stream.on('data', (chunk: Buffer) => {
    lines.push(
      ...chunk
        .toString()
        .split('\n')
        .filter((line) => line.trim() !== ''),
    )
    if (lines.length > LINES_KEPT) lines.splice(0, lines.length - LINES_KEPT)
  })
}

type Tokens = Readonly<Record<Identity, string>>

async function readTokens(container: StartedTestContainer): Promise<Tokens> {
  const { output, exitCode } = await container.exec(['cat', `${DATA}/tokens.json`])
  if (exitCode !== 0) throw new Error(`the tokens cannot be read: ${output}`)
  const { admin, tenants } = JSON.parse(output)
  return { admin, 'team-a': tenants['team-a'], 'team-b': tenants['team-b'] }
}

interface Started {
  readonly container: StartedTestContainer
  readonly tokens: Tokens
  /** In the container. */
  readonly grpc: GrpcPorts
  readonly lines: readonly string[]
  readonly nodeIds: readonly string[]
  readonly retries: boolean
}

/** The container while it runs: a container of Testcontainers, and the platform in it. */
export class StartedServerlessAiContainer extends AbstractStartedContainer implements TestPlatform {
  readonly #platform: PlatformHandle

  /** @internal */
  constructor(init: Started) {
    const { container, tokens, grpc, lines, nodeIds, retries } = init
    super(container)
    const host = container.getHost()
    const addresses = (ports: readonly number[]): string =>
      [...new Set(ports)].map((port) => `${host}:${container.getMappedPort(port)}`).join(',')
    this.#platform = new PlatformHandle({
      target: addresses(Object.values(grpc).flat()),
      targetOf: (area) => addresses(grpc[area]),
      topicPrefix: '',
      tokens,
      nodeIds,
      retries,
      timers: systemTimers,
      signalNode: (nodeId, signal) => signalInside(container, nodeId, signal),
      lastLines: async () => lines.join('\n'),
    })
  }

  getGrpcTarget(): string {
    return this.#platform.getGrpcTarget()
  }

  getToken(identity: Identity): string {
    return this.#platform.getToken(identity)
  }

  getEventTopic(area: EventArea): string {
    return this.#platform.getEventTopic(area)
  }

  client(identity?: Identity): PlatformClient {
    return this.#platform.client(identity)
  }

  createQueue(queue?: Partial<Omit<NewQueue, 'name'>>): Promise<string> {
    return this.#platform.createQueue(queue)
  }

  nodeIds(): readonly string[] {
    return this.#platform.nodeIds()
  }

  failNode(nodeId: string): Promise<void> {
    return this.#platform.failNode(nodeId)
  }

  drainNode(nodeId: string): Promise<void> {
    return this.#platform.drainNode(nodeId)
  }

  pauseNode(nodeId: string): Promise<void> {
    return this.#platform.pauseNode(nodeId)
  }

  resumeNode(nodeId: string): Promise<void> {
    return this.#platform.resumeNode(nodeId)
  }

  awaitPosition(position: string, options?: WaitOptions): Promise<void> {
    return this.#platform.awaitPosition(position, options)
  }

  awaitJob(jobId: string, state: JobState, options?: WaitOptions): Promise<Job> {
    return this.#platform.awaitJob(jobId, state, options)
  }

  events(filter: EventFilter): AsyncIterable<TestEvent> {
    return this.#platform.events(filter)
  }

  lastLines(): Promise<string> {
    return this.#platform.lastLines()
  }

  override async stop(options?: Partial<StopOptions>): Promise<StoppedTestContainer> {
    await this.#platform.release()
    return super.stop(options)
  }
}

async function signalInside(
  container: StartedTestContainer,
  nodeId: string,
  { name, whom }: NodeSignal,
): Promise<void> {
  const file = `${DATA}/nodes/${nodeId}/supervisor.json`
  const args = [file, `SIG${name}`, whom]
  const { exitCode, output } = await container.exec(['node', '-e', SIGNAL_SCRIPT, ...args])
  if (exitCode !== 0) throw new Error(`node ${nodeId} cannot be signalled: ${output}`)
}
