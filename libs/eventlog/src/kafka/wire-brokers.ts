// The brokers of a cluster, and who of them leads a partition.
import { type Connection, metadataV12 } from '@platformatic/kafka'
import type { KafkaTarget } from './connection.ts'
import { WireError } from './wire-error.ts'
import { type BrokerAddress, nameOf, type WireLanes } from './wire-lanes.ts'

/** The broker that leads a partition. */
export interface Leader extends BrokerAddress {
  readonly topicId: string
  /** Rises with each leader of the partition. */
  readonly epoch: number
}

/** A topic as the cluster names it, and a partition. */
export interface KafkaAddress {
  readonly topic: string
  readonly partition: number
}

/** What brokers told of a partition in one round of questions. */
export interface Told {
  /** Names of those that did. */
  readonly by: Set<string>
  /** Highest epoch, by topic id and partition. */
  readonly epochs: Map<string, number>
}

/** Another broker may be whole, have a better certificate, and know more. */
const isElsewhere = (error: unknown): boolean =>
  error instanceof WireError && ['NETWORK', 'TLS', 'UNKNOWN_LEADER_EPOCH'].includes(error.code)

/** Asks brokers what each of them can answer. */
export class WireBrokers {
  readonly #target: KafkaTarget
  readonly #lanes: WireLanes
  #known: readonly BrokerAddress[]
  #turn = 0
  /** Brokers that did not answer, or knew too little, the last time they were asked. */
  readonly #silent = new Set<string>()
  /** Highest epoch that was heard of a partition, by topic id: who tells less was cut off. */
  readonly #epochs = new Map<string, number>()

  constructor(target: KafkaTarget, lanes: WireLanes) {
    this.#target = target
    this.#lanes = lanes
    this.#known = this.#bootstrap()
  }

  #bootstrap(): readonly BrokerAddress[] {
    return this.#target.brokers.map((broker) => {
      const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(broker) ?? []
      return { host, port: Number(port) }
    })
  }

  /** Asks the brokers in turn until one answers; those that were silent the last time come last. */
  async anywhere<T>(
    ask: (connection: Connection, broker: BrokerAddress) => Promise<T>,
    // Most questions take a broker no time: one that hangs must not hold the others up.
    timeoutMs = this.#target.connectTimeoutMs,
  ): Promise<T> {
    const turned = this.#all()
    const silent = turned.filter((broker) => this.#isSilent(broker))
    const others = turned.filter((broker) => !silent.includes(broker))
    let failure: unknown
    for (const broker of [...others, ...silent]) {
      try {
        return await this.#ask(broker, timeoutMs, ask)
      } catch (error) {
        failure = error
        if (!isElsewhere(error)) throw error
      }
    }
    throw failure
  }

  /**
   * Whom the first broker names whose word is not older than what was heard before.
   * {@link WireError}
   */
  async leaderOf(at: KafkaAddress): Promise<Leader> {
    const find = () => this.anywhere((connection) => this.#leaderBy(connection, at))
    try {
      return await find()
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== 'UNKNOWN_LEADER_EPOCH') throw error
      // Nobody knows as much. Where all say so, they were restored from a copy.
      const told = await this.hearAll(at)
      if (!this.#known.every((broker) => told.by.has(nameOf(broker)))) throw error
      for (const [partition, epoch] of told.epochs) this.#epochs.set(partition, epoch)
      return find()
    }
  }

  /**
   * Hears the brokers, so that the newest epoch is known. Those that were silent the last time are
   * waited for only where nobody else answers.
   */
  async hearAll(at: KafkaAddress): Promise<Told> {
    const asked = new Set<string>()
    const told: Told = { by: new Set(), epochs: new Map() }
    const hear = async (broker: BrokerAddress): Promise<void> => {
      asked.add(nameOf(broker))
      const { connectTimeoutMs } = this.#target
      await this.#ask(broker, connectTimeoutMs, (connection) =>
        this.#leaderBy(connection, at, { ...told, name: nameOf(broker) }),
      ).catch(() => undefined)
    }
    const late: Promise<void>[] = []
    // They name each other.
    const others = () => this.#all().filter((broker) => !asked.has(nameOf(broker)))
    for (let left = others(); left.length > 0; left = others()) {
      const quick = left.filter((broker) => !this.#isSilent(broker))
      late.push(...left.filter((broker) => !quick.includes(broker)).map(hear))
      await Promise.all(quick.map(hear))
    }
    if (told.by.size === 0) await Promise.all(late)
    return told
  }

  /** Who leads by the word of one broker. */
  async #leaderBy(
    connection: Connection,
    at: KafkaAddress,
    told?: Told & { readonly name: string },
  ): Promise<Leader> {
    const answer = await metadataV12.api.async(connection, [at.topic], false, false)
    if (answer.brokers.length > 0) this.#known = answer.brokers
    const topic = answer.topics.find((each) => each.name === at.topic)
    const partition = topic?.partitions.find((each) => each.partitionIndex === at.partition)
    if (topic === undefined || partition === undefined) {
      throw new WireError('UNKNOWN_TOPIC_OR_PARTITION', `no ${at.topic}/${at.partition}`)
    }
    const { leaderId, leaderEpoch: epoch } = partition
    const name = `${topic.topicId}/${at.partition}`
    told?.by.add(told.name)
    told?.epochs.set(name, Math.max(epoch, told.epochs.get(name) ?? epoch))
    const newest = this.#epochs.get(name) ?? epoch
    if (epoch < newest) {
      const text = `a broker knows leader ${epoch} of ${at.topic}/${at.partition}, not ${newest}`
      throw new WireError('UNKNOWN_LEADER_EPOCH', text)
    }
    this.#epochs.set(name, epoch)
    const broker = answer.brokers.find((each) => each.nodeId === leaderId)
    if (broker === undefined) {
      throw new WireError('LEADER_NOT_AVAILABLE', `nobody leads ${at.topic}/${at.partition}`)
    }
    return { host: broker.host, port: broker.port, topicId: topic.topicId, epoch }
  }

  async #ask<T>(
    broker: BrokerAddress,
    timeoutMs: number,
    ask: (connection: Connection, broker: BrokerAddress) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await this.#lanes.ask(broker, timeoutMs, (line) => ask(line, broker))
      this.#silent.delete(nameOf(broker))
      return answer
    } catch (error) {
      if (isElsewhere(error)) this.#silent.add(nameOf(broker))
      throw error
    }
  }

  #isSilent(broker: BrokerAddress): boolean {
    return this.#silent.has(nameOf(broker))
  }

  /** All brokers that are known, another one first each time. */
  #all(): readonly BrokerAddress[] {
    const all = [...this.#known, ...this.#bootstrap()]
    this.#turn += 1
    const turned = all.map((_, n) => all[(this.#turn + n) % all.length]!)
    return [...new Map(turned.map((each) => [nameOf(each), each])).values()]
  }
}
