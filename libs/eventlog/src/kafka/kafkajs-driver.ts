// Everything that knows kafkajs: writing, and making and describing topics. Types and errors of
// kafkajs end here.
import type { Logger } from '@serverless-ai/kernel'
import kafkajs, { type LogEntry as KafkaJsLogEntry } from 'kafkajs'
import type { KafkaTarget } from './connection.ts'
import { causes, isTlsFailure, type KafkaErrorCode } from './errors.ts'
import { type Dial, PRODUCE, socketFactory } from './kafkajs-socket.ts'
import { kafkaErrorCode, WireError } from './wire-error.ts'

const {
  Kafka,
  ConfigResourceTypes,
  KafkaJSAggregateError,
  KafkaJSConnectionError,
  KafkaJSProtocolError,
  KafkaJSRequestTimeoutError,
  KafkaJSSASLAuthenticationError,
  logLevel,
} = kafkajs

/** What a driver needs. */
export interface KafkaJsOptions {
  readonly target: KafkaTarget
  readonly logger: Logger
  readonly dial?: Dial
}

/** A record on its way. */
export interface Outgoing {
  readonly key: Buffer | null
  readonly value: Buffer
  readonly headers: Readonly<Record<string, Buffer>>
}

/**
 * A send that brought no position. `sent`: `no` when nothing left for the broker, `refused` when
 * the broker said that it did not append, `unknown` otherwise.
 */
export class SendFailure extends Error {
  override readonly name = 'SendFailure'
  readonly sent: 'no' | 'refused' | 'unknown'
  /** Kafka's name of the error, if it is one of its own. */
  readonly type: string
  constructor(sent: SendFailure['sent'], error: unknown) {
    super(causes(error), { cause: error })
    this.sent = sent
    this.type = protocolType(error)
  }
}

/** Writes batches to one partition. Any failure makes it useless: close it and open another. */
export interface PartitionWriter {
  /** Appends as one batch, not to be called before the last call ended. {@link SendFailure} */
  send(records: readonly Outgoing[]): Promise<number>
  /** Lets go of the connections; what is on its way may still land. */
  close(): Promise<void>
}

/** Errors after which the broker certainly did not append. */
const REFUSALS = new Set([
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_RECORD',
  'INVALID_TOPIC_EXCEPTION',
  'MESSAGE_TOO_LARGE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_LEADER_FOR_PARTITION',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'POLICY_VIOLATION',
  'RECORD_LIST_TOO_LARGE',
  'TOPIC_AUTHORIZATION_FAILED',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

/** The error itself or the innermost one that caused it, by Kafka's name; else empty. */
function protocolType(error: unknown): string {
  if (error instanceof KafkaJSProtocolError) return error.type
  if (error instanceof KafkaJSAggregateError) return protocolType(error.errors[0])
  if (error instanceof WireError) return error.code === 'NETWORK' ? '' : error.code
  return error instanceof Error && error.cause !== undefined ? protocolType(error.cause) : ''
}

/** What an error of kafkajs means to callers. */
export function kafkaJsErrorCode(error: unknown): KafkaErrorCode {
  const type = protocolType(error)
  if (type !== '') return kafkaErrorCode(type)
  if (isTlsFailure(error)) return 'TLS_FAILED'
  if (error instanceof KafkaJSSASLAuthenticationError) return 'NOT_AUTHENTICATED'
  const network =
    error instanceof KafkaJSConnectionError ||
    error instanceof KafkaJSRequestTimeoutError ||
    // What kafkajs says of a connection that ended between two requests, without a kind of its own.
    (error instanceof Error && error.message === 'Broker not connected')
  if (network) return 'UNREACHABLE'
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? 'REFUSED' : kafkaJsErrorCode(cause)
}

/** A kafkajs client. Its complaints become lines of our log, one level lower: callers hear them. */
function client(
  { target, logger, dial = (to) => to }: KafkaJsOptions,
  onRequest?: (kind: number) => void,
) {
  const log = ({ namespace, log: { message } }: KafkaJsLogEntry): void =>
    logger.log('debug', `kafkajs: ${message}`, { namespace })
  return new Kafka({
    brokers: [...target.brokers],
    clientId: target.clientId,
    connectionTimeout: target.connectTimeoutMs,
    authenticationTimeout: target.requestTimeoutMs,
    requestTimeout: target.requestTimeoutMs,
    retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 500 },
    logLevel: logLevel.ERROR,
    logCreator: () => log,
    socketFactory: socketFactory(dial, onRequest),
    ...(target.tls === undefined ? {} : { ssl: { ...target.tls } }),
    ...(target.sasl === undefined ? {} : { sasl: saslOf(target.sasl) }),
  })
}

function saslOf({ mechanism, username, password }: NonNullable<KafkaTarget['sasl']>) {
  if (mechanism === 'plain') return { mechanism, username, password }
  if (mechanism === 'scram-sha-256') return { mechanism, username, password }
  return { mechanism, username, password }
}

/**
 * Opens a writer with a producer id of its own, so that the broker drops copies of one send.
 *
 * A new one after every failure is not a luxury: kafkajs takes the sequence number of a failed send
 * back (`sendMessages.js`, see tulios/kafkajs#598). Had the failed batch landed all the same, the
 * next one, of other content, would carry the same number, and the broker would acknowledge it as a
 * copy without writing it.
 */
export async function openPartitionWriter(
  options: KafkaJsOptions & {
    readonly topic: string
    readonly partition: number
    /** `leader`: acknowledged before there are copies, and a send may be written twice. */
    readonly acks: 'all' | 'leader'
  },
): Promise<PartitionWriter> {
  const { topic, partition, target } = options
  const safe = options.acks === 'all'
  // Counts what really left for a broker: kafkajs insists on at least one retry of its own and does
  // not tell of it.
  let left = 0
  const onRequest = (kind: number): void => {
    if (kind === PRODUCE) left += 1
  }
  const producer = client(options, onRequest).producer({
    idempotent: safe,
    allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
    retry: { retries: 1, initialRetryTime: 50 },
    createPartitioner: () => () => partition,
  })
  try {
    await producer.connect()
  } catch (error) {
    producer.disconnect().catch(() => undefined)
    throw new SendFailure('no', error)
  }
  const outcome = (error: unknown): SendFailure['sent'] => {
    if (left === 0) return 'no'
    return left === 1 && REFUSALS.has(protocolType(error)) ? 'refused' : 'unknown'
  }
  let sending: Promise<unknown> | undefined
  return {
    async send(records) {
      left = 0
      const messages = records.map((record) => ({ ...record, headers: { ...record.headers } }))
      let answers: readonly { readonly partition: number; readonly baseOffset?: string }[]
      try {
        const timeout = target.requestTimeoutMs
        const sent = producer.send({ topic, messages, acks: safe ? -1 : 1, timeout })
        sending = sent
        answers = await sent
      } catch (error) {
        throw new SendFailure(outcome(error), error)
      }
      const position = answers.find((answer) => answer.partition === partition)?.baseOffset
      // Records for a partition that does not exist are left out without a word by kafkajs.
      if (position === undefined) throw new SendFailure('no', missingPartition())
      return Number(position)
    },
    async close() {
      // A send that nobody waits for any more is repeated all the same, and connects again for it.
      await sending?.catch(() => undefined)
      await producer.disconnect()
    },
  }
}

function missingPartition(): Error {
  return new KafkaJSProtocolError(
    Object.assign(new Error('This server does not host this topic-partition'), {
      type: 'UNKNOWN_TOPIC_OR_PARTITION',
      code: 3,
      retriable: false,
    }),
  )
}

/** A topic to be made. */
export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic as the cluster has it. */
export interface FoundTopic {
  readonly topic: string
  readonly partitions: number
  /** Of the partition with the fewest copies. */
  readonly replicationFactor: number
  /** Effective settings, defaults of the brokers included. */
  readonly config: ReadonlyMap<string, string>
}

/** Makes and describes topics. Rejects with the client's errors; {@link causes} reads them. */
export interface TopicAdmin {
  brokerCount(): Promise<number>
  /** Topics of these names that exist. */
  find(topics: readonly string[]): Promise<readonly FoundTopic[]>
  /** Resolves when the controller has made them; brokers learn of them later. */
  create(topics: readonly NewTopic[]): Promise<void>
  /** Adds partitions until there are `count`. */
  extend(topic: string, count: number): Promise<void>
  remove(topics: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** Connects for administration. */
export async function openTopicAdmin(options: KafkaJsOptions): Promise<TopicAdmin> {
  const admin = client(options).admin()
  await admin.connect()
  const timeout = options.target.requestTimeoutMs
  const find = async (wanted: readonly string[]): Promise<readonly FoundTopic[]> => {
    const existing = new Set(await admin.listTopics())
    const topics = wanted.filter((topic) => existing.has(topic))
    if (topics.length === 0) return []
    const metadata = await admin.fetchTopicMetadata({ topics })
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
    })
    return metadata.topics.map(({ name, partitions }) => {
      const entries = resources.find((each) => each.resourceName === name)?.configEntries ?? []
      return {
        topic: name,
        partitions: partitions.length,
        replicationFactor: Math.min(...partitions.map((each) => each.replicas.length)),
        config: new Map(entries.map((each) => [each.configName, each.configValue])),
      }
    })
  }
  return {
    find,
    brokerCount: async () => (await admin.describeCluster()).brokers.length,
    async create(topics) {
      await admin.createTopics({
        timeout,
        // Its wait ends with an error where a topic is not known everywhere at once, as in KRaft.
        waitForLeaders: false,
        topics: topics.map(({ topic, partitions, replicationFactor, config }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        })),
      })
    },
    async extend(topic, count) {
      await admin.createPartitions({ timeout, topicPartitions: [{ topic, count }] })
    },
    remove: (topics) => admin.deleteTopics({ topics: [...topics], timeout }),
    close: () => admin.disconnect(),
  }
}
