import type { Readable } from 'node:stream'
import { SERVICE_NAMES, servicesWithout } from '@serverless-ai/contracts/services'
import { GenericContainer, Wait } from 'testcontainers'
import { withEngine } from './engine.ts'
import type { Identity, NodeShape, PlatformBuilder, TestService } from './platform.ts'
import { freePorts } from './ports.ts'
import { addToken, configOf, defaultSettings, leftOut, nodeIdsOf, tokensFile } from './settings.ts'
import { DATA, type GrpcPorts, StartedServerlessAiContainer } from './started-container.ts'

/** Image of this version. Without a registry `node tools/images.ts` of the repository makes it. */
export const DEFAULT_IMAGE = 'serverless-ai/control-plane:0.2.0'

const GRPC_PORT = 7070
/** gRPC and health of the platform, and ten ports for each service behind them. */
const PORTS_PER_SERVICE = 10
const PORTS_ON_KAFKA = PORTS_PER_SERVICE * (1 + SERVICE_NAMES.length)
const CONFIG_FILE = '/etc/serverless-ai/config.json'
const TOKENS_FILE = '/etc/serverless-ai/tokens.json'
/** The user of the image; tasks are programs below the directory, too. */
const TMPFS = 'rw,exec,nosuid,nodev,mode=0711,uid=10001,gid=10001'
/**
 * What is copied into a container lies below what is mounted there: the tokens get into the data
 * directory by its own user, at the first start only.
 */
const SEED_SCRIPT = `[ -e ${DATA}/tokens.json ] ||
  (umask 077 && cp ${TOKENS_FILE} ${DATA}/tokens.json) || exit 1
exec serverless-ai "$@"`
const START_TIMEOUT_MS = 240_000
const LINES_KEPT = 40

/** The whole platform in one container, with emulated devices and real processes as tasks. */
export class ServerlessAiContainer
  extends GenericContainer
  implements PlatformBuilder<StartedServerlessAiContainer>
{
  readonly #image: string
  readonly #settings = defaultSettings()
  #kafka: KafkaSettings | undefined

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
   * @param more `host`: the same as this machine reaches them, for `getKafkaBootstrapServers`
   */
  withKafka(brokers: string, more: Partial<Omit<KafkaSettings, 'brokers'>> = {}): this {
    this.#kafka = { replicas: 1, ...more, brokers }
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

  withServices(services: readonly TestService[]): this {
    this.#settings.without = leftOut(services)
    return this
  }

  withAuthToken(identity: Identity, token: string): this {
    this.#settings.tokens = addToken(this.#settings.tokens, { identity, token })
    return this
  }

  /** Counts from the second start on: `restart()` of the started container. */
  withReplayAlways(): this {
    this.#settings.replayAlways = true
    return this
  }

  withTmpfs(): this {
    this.#settings.tmpfs = true
    return this
  }

  /** @throws RangeError for virtual time: the processes in a container are real */
  withClock(clock: 'real'): this {
    if (clock === 'real') return this
    throw new RangeError(`a container has no ${String(clock)} time: see ServerlessAiTwin`)
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

  /** Puts configuration and tokens in place. */
  #furnish(config: Readonly<Record<string, unknown>>): void {
    const tokens = tokensFile(this.#settings)
    this.withCommand(['all-in-one', '--config', CONFIG_FILE])
    this.withCopyContentToContainer([
      { content: JSON.stringify(config), target: CONFIG_FILE, mode: 0o644 },
    ])
    if (this.#settings.tmpfs) this.withTmpFs({ [DATA]: TMPFS })
    if (tokens === undefined) return
    this.withCopyContentToContainer([{ content: tokens, target: TOKENS_FILE, mode: 0o644 }])
    this.withEntrypoint(['tini', '--', 'sh', '-c', SEED_SCRIPT, 'sh'])
  }

  /** Opens ports and waits for health. */
  #reach(port: number): GrpcPorts {
    const kafka = this.#kafka
    const grpc = grpcPorts(port, kafka?.replicas)
    const one = (container: number) =>
      kafka === undefined ? container : { container, host: container }
    const open = servicesWithout(this.#settings.without).flatMap((area) => grpc[area])
    this.withExposedPorts(...[port + 1, ...new Set(open)].map(one))
    this.withHealthCheck({
      test: ['CMD', 'sai-health', String(port + 1)],
      interval: 500,
      timeout: 3_000,
      retries: 1_000,
    })
    this.withWaitStrategy(Wait.forHealthCheck())
    return grpc
  }

  async #start(): Promise<StartedServerlessAiContainer> {
    const kafka = this.#kafka
    // On Kafka a replica tells where the leader is: it must be there for us, too.
    const port = kafka === undefined ? GRPC_PORT : await freePorts(PORTS_ON_KAFKA)
    const log =
      kafka === undefined
        ? {}
        : { kafka: { brokers: kafka.brokers.split(',') }, replicas: kafka.replicas }
    this.#furnish({
      ...configOf(this.#settings),
      host: '0.0.0.0',
      port,
      insecureDev: true,
      ...log,
    })
    const grpc = this.#reach(port)
    const lines: string[] = []
    this.withLogConsumer((stream: Readable) => keepLines(stream, lines))
    const { retries, without } = this.#settings
    const nodeIds = nodeIdsOf(this.#settings)
    const init = { grpc, lines, nodeIds, retries, without, ...brokersOf(kafka) }
    try {
      return await StartedServerlessAiContainer.in(await super.start(), init)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const said = lines.join('\n')
      throw new Error(`the platform did not start: ${reason}\n${said}`, { cause: error })
    }
  }
}

/** The brokers that a container uses. */
interface KafkaSettings {
  /** As the container reaches them. */
  readonly brokers: string
  /** Of each service. Default 1. */
  readonly replicas: number
  /** As this machine reaches them. Default: nobody knows. */
  readonly host?: string
}

function brokersOf(kafka: KafkaSettings | undefined) {
  if (kafka === undefined) return {}
  const { brokers: network, host } = kafka
  return { kafka: host === undefined ? { network } : { network, host } }
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
