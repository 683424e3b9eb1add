// Everything that knows @platformatic/kafka: reads, ranges, trimming and single settings, request
// by request over connections of our own. No client of that library stands in between, so nothing
// resets, rebalances, caches or repeats behind our back.
import {
  type Connection,
  deleteRecordsV2,
  fetchV17,
  incrementalAlterConfigsV1,
  listOffsetsV9,
  metadataV12,
} from '@platformatic/kafka'
import type { LogRecord } from '../port.ts'
import type { KafkaTarget } from './connection.ts'
import type { Dial } from './kafkajs-socket.ts'
import { recordsOf } from './records.ts'
import { WireError } from './wire-error.ts'
import { type BrokerAddress, nameOf, WireLanes } from './wire-lanes.ts'

/** The broker that leads a partition. */
interface Leader extends BrokerAddress {
  readonly topicId: string
  /** Rises with each leader of the partition. */
  readonly epoch: number
}

/** A piece of a partition as a broker sent it. */
export interface WirePiece {
  /** From the wanted position on, as far as `maxBytes` goes, but at least one if there is one. */
  readonly records: readonly LogRecord[]
  /** Lowest position kept. */
  readonly start: number
  /** One above the last position that all in-sync replicas have. */
  readonly end: number
}

const READ_COMMITTED = 1
const NO_SESSION = -1
const TIMESTAMP_EARLIEST = -2n
const TIMESTAMP_LATEST = -1n
const TOPIC = 2
/** A broker that did not answer the last time has so long where all are asked, ms. */
const SILENT_MS = 500
const SET = 0

/** Talks to the leaders of partitions. Each call takes a connection for itself. */
export class KafkaWire {
  readonly #target: KafkaTarget
  readonly #lanes: WireLanes
  readonly #leaders = new Map<string, Promise<Leader>>()
  /** Highest epoch that was heard of a partition, by topic id: who tells less was cut off. */
  readonly #epochs = new Map<string, number>()
  #known: readonly BrokerAddress[]
  #turn = 0
  /** Brokers that did not answer the last time they were asked where something is. */
  readonly #silent = new Set<string>()

  constructor(target: KafkaTarget, dial: Dial = (to) => to) {
    this.#target = target
    this.#lanes = new WireLanes(target, dial)
    this.#known = this.#bootstrap()
  }

  #bootstrap() {
    return this.#target.brokers.map((broker) => {
      const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(broker) ?? []
      return { host, port: Number(port) }
    })
  }

  /** Reads; waits up to `waitMs` at the broker while there is nothing. {@link WireError} */
  async fetch(
    at: { topic: string; partition: number },
    options: { from: number; maxBytes: number; waitMs: number },
  ): Promise<WirePiece> {
    const { from, maxBytes, waitMs } = options
    return this.#atLeader(at, async (connection, { topicId, epoch }) => {
      const partition = {
        partition: at.partition,
        currentLeaderEpoch: epoch,
        fetchOffset: BigInt(from),
        lastFetchedEpoch: -1,
        partitionMaxBytes: maxBytes,
      }
      const topics = [{ topicId, partitions: [partition] }]
      const answer = await fetchV17.api.async(
        connection,
        waitMs,
        1,
        maxBytes,
        READ_COMMITTED,
        0,
        NO_SESSION,
        topics,
        [],
        '',
      )
      const found = answer.responses[0]?.partitions[0]
      if (found === undefined) throw new WireError('NETWORK', 'an answer without our partition')
      const { logStartOffset, highWatermark, lastStableOffset } = found
      // The two differ only while somebody's transaction is open, which none of ours is.
      const end = Math.min(Number(lastStableOffset), Number(highWatermark))
      const records = recordsOf(found.records ?? [], from, maxBytes)
      return { records, start: Number(logStartOffset), end }
    })
  }

  /**
   * Lowest position kept and position of the next record. All brokers are asked who leads: one that
   * was cut off from the others takes itself for the leader, of a log that is shorter.
   * {@link WireError}
   */
  async range(at: { topic: string; partition: number }): Promise<{ start: number; end: number }> {
    await this.#askAll(at)
    return this.#atLeader(at, async (connection, { epoch }) => {
      const offsets: number[] = []
      for (const timestamp of [TIMESTAMP_EARLIEST, TIMESTAMP_LATEST]) {
        const partition = { partitionIndex: at.partition, currentLeaderEpoch: epoch, timestamp }
        const topics = [{ name: at.topic, partitions: [partition] }]
        const answer = await listOffsetsV9.api.async(connection, -1, READ_COMMITTED, topics)
        const found = answer.topics[0]?.partitions[0]
        if (found === undefined) throw new WireError('NETWORK', 'an answer without our partition')
        offsets.push(Number(found.offset))
      }
      const [start = 0, end = 0] = offsets
      return { start, end }
    })
  }

  /** Deletes the records below `below`, which is not beyond the end. {@link WireError} */
  async deleteBelow(at: { topic: string; partition: number }, below: number): Promise<void> {
    const partitions = [{ partitionIndex: at.partition, offset: BigInt(below) }]
    await this.#atLeader(at, (connection) => {
      const topics = [{ name: at.topic, partitions }]
      return deleteRecordsV2.api.async(connection, topics, this.#target.requestTimeoutMs)
    })
  }

  /**
   * Sets some settings of a topic and leaves the others alone, which kafkajs cannot: its request
   * sets all that it does not name back to the default. {@link WireError}
   */
  async setTopicConfig(topic: string, config: Readonly<Record<string, string>>): Promise<void> {
    const configs = Object.entries(config).map(([name, value]) => {
      return { name, value, configOperation: SET } as const
    })
    const resources = [{ resourceType: TOPIC, resourceName: topic, configs } as const]
    // The controller is asked by the broker, and writes it down.
    await this.#anywhere((connection) => {
      return incrementalAlterConfigsV1.api.async(connection, resources, false)
    }, this.#target.requestTimeoutMs)
  }

  /** Number of brokers that are up. {@link WireError} */
  async brokerCount(): Promise<number> {
    const answer = await this.#anywhere((connection) => {
      return metadataV12.api.async(connection, [], false, false)
    })
    return answer.brokers.length
  }

  /** A broker that answers: hung ones take connections, too. {@link WireError} */
  answering(): Promise<BrokerAddress> {
    return this.#anywhere(async (connection, broker) => {
      await metadataV12.api.async(connection, [], false, false)
      return broker
    })
  }

  /** Rejects when the topic does not exist or may not be seen. {@link WireError} */
  async describe(topic: string): Promise<void> {
    await this.#anywhere((connection) => {
      return metadataV12.api.async(connection, [topic], false, false)
    }, this.#target.requestTimeoutMs)
  }

  /** Asks afresh who leads. {@link WireError} */
  async leader(at: { topic: string; partition: number }): Promise<{ host: string; port: number }> {
    const finding = this.#findLeader(at)
    this.#leaders.set(`${at.topic}/${at.partition}`, finding)
    try {
      const { host, port } = await finding
      return { host, port }
    } catch (error) {
      this.forgetLeader(at)
      throw error
    }
  }

  /** Has the next request look for the leader again: one that was cut off does not know it. */
  forgetLeader(at: { topic: string; partition: number }): void {
    this.#leaders.delete(`${at.topic}/${at.partition}`)
  }

  close(): void {
    this.#lanes.close()
  }

  async #atLeader<T>(
    at: { topic: string; partition: number },
    ask: (connection: Connection, leader: Leader) => Promise<T>,
  ): Promise<T> {
    const name = `${at.topic}/${at.partition}`
    const finding = this.#leaders.get(name) ?? this.#findLeader(at)
    this.#leaders.set(name, finding)
    try {
      const leader = await finding
      const { requestTimeoutMs } = this.#target
      return await this.#lanes.ask(leader, requestTimeoutMs, (line) => ask(line, leader))
    } catch (error) {
      // Whatever it was, the next call looks for the leader afresh.
      this.#leaders.delete(name)
      throw error
    }
  }

  /** Whom the first broker names whose word is not older than what was heard before. */
  #findLeader(at: { topic: string; partition: number }): Promise<Leader> {
    return this.#anywhere((connection) => this.#leaderBy(connection, at))
  }

  /** Hears all brokers that answer, so that the newest epoch is known. */
  async #askAll(at: { topic: string; partition: number }): Promise<void> {
    const asked = new Set<string>()
    const ask = async (broker: BrokerAddress): Promise<void> => {
      const name = nameOf(broker)
      asked.add(name)
      const timeoutMs = this.#silent.has(name) ? SILENT_MS : this.#target.connectTimeoutMs
      try {
        await this.#lanes.ask(broker, timeoutMs, (line) => this.#leaderBy(line, at))
        this.#silent.delete(name)
      } catch (error) {
        if (isElsewhere(error)) this.#silent.add(name)
      }
    }
    // They name each other.
    const others = () => this.#brokers().filter((broker) => !asked.has(nameOf(broker)))
    for (let left = others(); left.length > 0; left = others()) await Promise.all(left.map(ask))
    this.forgetLeader(at)
  }

  /** Who leads by the word of one broker. */
  async #leaderBy(
    connection: Connection,
    at: { topic: string; partition: number },
  ): Promise<Leader> {
    const answer = await metadataV12.api.async(connection, [at.topic], false, false)
    if (answer.brokers.length > 0) this.#known = answer.brokers
    const topic = answer.topics.find((each) => each.name === at.topic)
    const partition = topic?.partitions.find((each) => each.partitionIndex === at.partition)
    if (topic === undefined || partition === undefined) {
      throw new WireError('UNKNOWN_TOPIC_OR_PARTITION', `no ${at.topic}/${at.partition}`)
    }
    const { leaderId, leaderEpoch: epoch } = partition
    const of = `${topic.topicId}/${at.partition}`
    const newest = this.#epochs.get(of) ?? epoch
    if (epoch < newest) {
      const text = `a broker knows leader ${epoch} of ${at.topic}/${at.partition}, not ${newest}`
      throw new WireError('UNKNOWN_LEADER_EPOCH', text)
    }
    this.#epochs.set(of, epoch)
    const broker = answer.brokers.find((each) => each.nodeId === leaderId)
    if (broker === undefined) {
      throw new WireError('LEADER_NOT_AVAILABLE', `nobody leads ${at.topic}/${at.partition}`)
    }
    return { host: broker.host, port: broker.port, topicId: topic.topicId, epoch }
  }

  /** All brokers that are known, another one first each time. */
  #brokers(): readonly BrokerAddress[] {
    const all = [...this.#known, ...this.#bootstrap()]
    this.#turn += 1
    const turned = all.map((_, n) => all[(this.#turn + n) % all.length]!)
    return [...new Map(turned.map((each) => [nameOf(each), each])).values()]
  }

  /** Asks the brokers in turn until one answers; those that were silent the last time come last. */
  async #anywhere<T>(
    ask: (connection: Connection, broker: BrokerAddress) => Promise<T>,
    // Most questions take a broker no time: one that hangs must not hold the others up.
    timeoutMs = this.#target.connectTimeoutMs,
  ): Promise<T> {
    const turned = this.#brokers()
    const silent = (broker: BrokerAddress) => this.#silent.has(nameOf(broker))
    let failure: unknown
    for (const broker of [...turned.filter((each) => !silent(each)), ...turned.filter(silent)]) {
      try {
        const answer = await this.#lanes.ask(broker, timeoutMs, (line) => ask(line, broker))
        this.#silent.delete(nameOf(broker))
        return answer
      } catch (error) {
        failure = error
        if (!isElsewhere(error)) throw error
        this.#silent.add(nameOf(broker))
      }
    }
    throw failure
  }
}

/** Another broker may be whole, have a better certificate, and know more. */
const isElsewhere = (error: unknown): boolean =>
  error instanceof WireError && ['NETWORK', 'TLS', 'UNKNOWN_LEADER_EPOCH'].includes(error.code)
