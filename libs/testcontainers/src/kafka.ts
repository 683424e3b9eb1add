import {
  AbstractStartedContainer,
  GenericContainer,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers'
import { withEngine } from './engine.ts'
import { freePorts } from './ports.ts'

/** The public image. One that was made locally serves as well (`node tools/images.ts kafka`). */
export const DEFAULT_KAFKA_IMAGE = 'apache/kafka:4.1.0'

/** In the network; the port of the host is another one. */
const NETWORK_PORT = 19_092
const CONTROLLER_PORT = 19_093
const START_TIMEOUT_MS = 120_000

/** One broker that is its own controller. Topics are made by the platform, never by themselves. */
const settings = (alias: string, hostPort: number): string => `node.id=1
process.roles=broker,controller
controller.quorum.voters=1@localhost:${CONTROLLER_PORT}
listeners=HOST://:${hostPort},NETWORK://:${NETWORK_PORT},CONTROLLER://:${CONTROLLER_PORT}
advertised.listeners=HOST://localhost:${hostPort},NETWORK://${alias}:${NETWORK_PORT}
controller.listener.names=CONTROLLER
inter.broker.listener.name=NETWORK
listener.security.protocol.map=HOST:PLAINTEXT,NETWORK:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/tmp/kafka-data
auto.create.topics.enable=false
unclean.leader.election.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`

/** A broker of Kafka 4 that the host and a network reach. */
export class KafkaBrokerContainer extends GenericContainer {
  readonly #image: string
  readonly #alias: string

  constructor(init: {
    readonly image?: string
    readonly network: StartedNetwork
    /** Name in the network. */
    readonly alias: string
  }) {
    const { image = DEFAULT_KAFKA_IMAGE, network, alias } = init
    super(image)
    this.#image = image
    this.#alias = alias
    this.withNetwork(network).withNetworkAliases(alias).withStartupTimeout(START_TIMEOUT_MS)
  }

  /** @throws EngineMissingError, ImageMissingError */
  override start(): Promise<StartedKafkaBroker> {
    const mend = 'name another image, or make one: node tools/images.ts kafka'
    return withEngine({ image: this.#image, mend }, async () => {
      // Advertised addresses must be known before the start.
      const port = await freePorts(1)
      const content = settings(this.#alias, port)
      const target = '/mnt/shared/config/server.properties'
      this.withCopyContentToContainer([{ content, target, mode: 0o644 }])
      this.withExposedPorts({ container: port, host: port })
      this.withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      return new StartedKafkaBroker(await super.start(), { port, alias: this.#alias })
    })
  }
}

/** A broker that runs. */
export class StartedKafkaBroker extends AbstractStartedContainer {
  readonly #port: number
  readonly #alias: string

  /** @internal */
  constructor(container: StartedTestContainer, init: { port: number; alias: string }) {
    super(container)
    this.#port = init.port
    this.#alias = init.alias
  }

  /** `host:port` for clients on this machine, or for containers of the network. */
  getBootstrapServers(from: 'host' | 'network' = 'host'): string {
    return from === 'host' ? `localhost:${this.#port}` : `${this.#alias}:${NETWORK_PORT}`
  }
}
