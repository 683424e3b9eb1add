/** Proof of who we are, by SCRAM (the broker keeps no password) or, over TLS only, by password. */
export interface KafkaSasl {
  readonly mechanism: 'scram-sha-256' | 'scram-sha-512' | 'plain'
  readonly username: string
  readonly password: string
}

/** TLS towards the brokers; the host names of the brokers are checked. */
export interface KafkaTls {
  /** Certificates of the authorities that are believed, PEM; those of the system by default. */
  readonly ca?: string
  /** Own certificate chain, PEM, for brokers that ask for one. */
  readonly cert?: string
  /** Key of the own certificate, PEM. */
  readonly key?: string
  /** Name to check and to ask for instead of the host's. */
  readonly servername?: string
}

/** How to reach a Kafka cluster. */
export interface KafkaConnection {
  /** Bootstrap addresses, `host:port`; at least one. */
  readonly brokers: readonly string[]
  /** Shown in the broker's logs and quotas. Default `serverless-ai`. */
  readonly clientId?: string
  /** Without it nothing is encrypted. */
  readonly tls?: KafkaTls
  readonly sasl?: KafkaSasl
  /**
   * Stands before every topic name, so that several platforms share one cluster (`staging.`).
   * Default: nothing.
   */
  readonly topicPrefix?: string
  /** A broker must take a connection within this, ms. Default 2000. */
  readonly connectTimeoutMs?: number
  /**
   * A request must be answered within this, ms; afterwards the outcome of an append is unknown and
   * a read is tried again elsewhere. Default 5000, at least 1000.
   */
  readonly requestTimeoutMs?: number
}

/** A connection with every default filled in. */
export type KafkaTarget = Required<Omit<KafkaConnection, 'tls' | 'sasl'>> &
  Pick<KafkaConnection, 'tls' | 'sasl'>

/** What acknowledged records survive with that many copies; for people. */
export function durabilityOf(copies: number): string {
  return copies < 3
    ? 'death of the broker process, not power loss: fewer than three copies'
    : 'loss of one broker: each append is on all in-sync replicas, at least two'
}

const ADDRESS = /^(\[[0-9a-f:.]+\]|[^\s:/,]+):\d{1,5}$/i
const PREFIX = /^[A-Za-z0-9._-]{0,100}$/

/** Fills in the defaults. Throws RangeError for what cannot be meant. */
export function kafkaTarget(connection: KafkaConnection): KafkaTarget {
  const target = {
    clientId: 'serverless-ai',
    topicPrefix: '',
    connectTimeoutMs: 2000,
    requestTimeoutMs: 5000,
    ...connection,
  }
  const { brokers, topicPrefix, connectTimeoutMs, requestTimeoutMs, sasl, tls } = target
  if (brokers.length === 0) throw new RangeError('no Kafka broker is named')
  for (const broker of brokers) {
    if (!ADDRESS.test(broker)) throw new RangeError(`not a broker address (host:port): '${broker}'`)
  }
  if (!PREFIX.test(topicPrefix)) throw new RangeError(`not a topic prefix: '${topicPrefix}'`)
  if (!(connectTimeoutMs > 0)) throw new RangeError('connectTimeoutMs must be above 0')
  if (!(requestTimeoutMs >= 1000)) throw new RangeError('requestTimeoutMs must be at least 1000')
  if (sasl?.mechanism === 'plain' && tls === undefined) {
    throw new RangeError('a plain password would cross the network readable: use TLS or SCRAM')
  }
  return target
}
