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
import { type KafkaAddress, type Leader, WireBrokers } from './wire-brokers.ts'
import { WireError } from './wire-error.ts'
import { type BrokerAddress, WireLanes } from './wire-lanes.ts'

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
const SET = 0

/** Talks to the leaders of partitions. Each call takes a connection for itself. */
export class KafkaWire {
  readonly #target: KafkaTarget
  readonly #lanes: WireLanes
  readonly #brokers: WireBrokers
  readonly #leaders = new Map<string, Promise<Leader>>()

  constructor(target: KafkaTarget, dial: Dial = (to) => to) {
    this.#target = target
    this.#lanes = new WireLanes(target, dial)
    this.#brokers = new WireBrokers(target, this.#lanes)
  }

  /** Reads; waits up to `waitMs` at the broker while there is nothing. {@link WireError} */
  async fetch(
    at: KafkaAddress,
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
  async range(at: KafkaAddress): Promise<{ start: number; end: number }> {
    await this.#brokers.hearAll(at)
    this.forgetLeader(at)
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
  async deleteBelow(at: KafkaAddress, below: number): Promise<void> {
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
    await this.#brokers.anywhere((connection) => {
      return incrementalAlterConfigsV1.api.async(connection, resources, false)
    }, this.#target.requestTimeoutMs)
  }

  /** Number of brokers that are up. {@link WireError} */
  async brokerCount(): Promise<number> {
    const answer = await this.#brokers.anywhere((connection) => {
      return metadataV12.api.async(connection, [], false, false)
    })
    return answer.brokers.length
  }

  /** A broker that answers: hung ones take connections, too. {@link WireError} */
  answering(): Promise<BrokerAddress> {
    return this.#brokers.anywhere(async (connection, broker) => {
      await metadataV12.api.async(connection, [], false, false)
      return broker
    })
  }

  /** Rejects when the topic does not exist or may not be seen. {@link WireError} */
  async describe(topic: string): Promise<void> {
    await this.#brokers.anywhere((connection) => {
      return metadataV12.api.async(connection, [topic], false, false)
    }, this.#target.requestTimeoutMs)
  }

  /** Asks afresh who leads. {@link WireError} */
  async leader(at: KafkaAddress): Promise<{ host: string; port: number }> {
    const finding = this.#brokers.leaderOf(at)
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
  forgetLeader(at: KafkaAddress): void {
    this.#leaders.delete(`${at.topic}/${at.partition}`)
  }

  close(): void {
    this.#lanes.close()
  }

  async #atLeader<T>(
    at: KafkaAddress,
    ask: (connection: Connection, leader: Leader) => Promise<T>,
  ): Promise<T> {
    const name = `${at.topic}/${at.partition}`
    const finding = this.#leaders.get(name) ?? this.#brokers.leaderOf(at)
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
}
