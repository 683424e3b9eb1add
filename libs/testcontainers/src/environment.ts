import { Network, type StartedNetwork } from 'testcontainers'
import { DEFAULT_IMAGE, ServerlessAiContainer } from './container.ts'
import { endAfter, endAll } from './ending.ts'
import { withEngine } from './engine.ts'
import { DEFAULT_KAFKA_IMAGE, KafkaBrokerContainer, type StartedKafkaBroker } from './kafka.ts'
import type { StartedServerlessAiContainer } from './started-container.ts'

const ALIAS = 'kafka'

/** The platform on Kafka: a network, a broker, and the platform in a container of its own. */
export class ServerlessAiEnvironment {
  readonly #images: { readonly platform: string; readonly kafka: string }
  #replicas = 1
  #configure: (container: ServerlessAiContainer) => ServerlessAiContainer = (container) => container

  constructor(images: { readonly platform?: string; readonly kafka?: string } = {}) {
    const { platform = DEFAULT_IMAGE, kafka = DEFAULT_KAFKA_IMAGE } = images
    this.#images = { platform, kafka }
  }

  /** Replicas of each service. Default 1. */
  withReplicas(replicas: number): this {
    this.#replicas = replicas
    return this
  }

  /** Settings of the platform's container: nodes, configuration, … */
  withPlatform(configure: (container: ServerlessAiContainer) => ServerlessAiContainer): this {
    this.#configure = configure
    return this
  }

  /**
   * Starts broker and platform; what was started is ended again when the rest fails.
   * @throws EngineMissingError, ImageMissingError
   */
  async start(): Promise<StartedServerlessAiEnvironment> {
    const { platform: image, kafka } = this.#images
    const mend = 'name another image, or make it: node tools/images.ts'
    const network = await withEngine({ image, mend }, () => new Network().start())
    let broker: StartedKafkaBroker | undefined
    try {
      broker = await new KafkaBrokerContainer({ image: kafka, network, alias: ALIAS }).start()
      const container = new ServerlessAiContainer(image)
        .withNetwork(network)
        .withKafka(broker.getBootstrapServers('network'), {
          replicas: this.#replicas,
          host: broker.getBootstrapServers('host'),
        })
      const platform = await this.#configure(container).start()
      return new StartedServerlessAiEnvironment({ network, broker, platform })
    } catch (error) {
      return endAfter(error, [() => broker?.stop(), () => network.stop()])
    }
  }
}

/** An environment that runs. */
export class StartedServerlessAiEnvironment implements AsyncDisposable {
  readonly platform: StartedServerlessAiContainer
  readonly broker: StartedKafkaBroker
  readonly #network: StartedNetwork

  /** @internal */
  constructor(init: {
    network: StartedNetwork
    broker: StartedKafkaBroker
    platform: StartedServerlessAiContainer
  }) {
    this.platform = init.platform
    this.broker = init.broker
    this.#network = init.network
  }

  /** `host:port` of the broker, for clients on this machine or for containers of the network. */
  getKafkaBootstrapServers(from: 'host' | 'network' = 'host'): string {
    return this.broker.getBootstrapServers(from)
  }

  async stop(): Promise<void> {
    const { platform, broker } = this
    await endAll([() => platform.stop(), () => broker.stop(), () => this.#network.stop()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
