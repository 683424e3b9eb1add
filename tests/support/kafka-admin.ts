// What tests ask a cluster, and tell it, beside what the product does.
import type { KafkaConnection } from '@serverless-ai/eventlog/kafka'
import kafkajs, { type Admin } from 'kafkajs'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel } = kafkajs
const { ResourcePatternTypes } = kafkajs

/** What only reads is asked again by those who wait for it; what writes has to wait. */
const ASK_TIMEOUT_MS = 3000
const TELL_TIMEOUT_MS = 30_000

/** A right to all topics whose names begin so. */
export interface Grant {
  readonly user: string
  readonly topics: string
  readonly operations: readonly (
    | 'READ'
    | 'WRITE'
    | 'DESCRIBE'
    | 'DELETE'
    | 'CREATE'
    | 'ALTER'
    | 'DESCRIBE_CONFIGS'
    | 'ALTER_CONFIGS'
  )[]
}

/** Asks and tells a cluster; every call connects anew, for brokers come and go. */
export interface ClusterAdmin {
  /** Ids of the brokers that are up, as that one knows it. */
  brokers(broker: string): Promise<readonly number[]>
  partition(
    topic: string,
    partition: number,
  ): Promise<{ readonly leader: number; readonly inSync: number; readonly copies: number }>
  grant(grant: Grant): Promise<void>
  deleteTopic(topic: string): Promise<void>
}

/** An administrator of that cluster. */
export function clusterAdmin(connection: KafkaConnection): ClusterAdmin {
  const { sasl, tls } = connection
  const work = async <T>(
    brokers: readonly string[],
    ask: (admin: Admin) => Promise<T>,
    requestTimeout = ASK_TIMEOUT_MS,
  ) => {
    const kafka = new Kafka({
      brokers: [...brokers],
      clientId: 'test-admin',
      connectionTimeout: 1000,
      requestTimeout,
      retry: { retries: 1, initialRetryTime: 50 },
      logLevel: logLevel.NOTHING,
      ...(tls && { ssl: { ...tls } }),
      ...(sasl && {
        sasl: { mechanism: 'scram-sha-512', username: sasl.username, password: sasl.password },
      }),
    })
    const admin = kafka.admin()
    try {
      await admin.connect()
      return await ask(admin)
    } finally {
      await admin.disconnect()
    }
  }
  const everywhere = <T>(ask: (admin: Admin) => Promise<T>, requestTimeout = ASK_TIMEOUT_MS) =>
    work(connection.brokers, ask, requestTimeout)
  return {
    brokers: (broker) =>
      work([broker], async (admin) =>
        (await admin.describeCluster()).brokers.map(({ nodeId }) => nodeId),
      ),
    partition: (topic, partition) =>
      everywhere(async (admin) => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
        const found = topics[0]?.partitions.find((each) => each.partitionId === partition)
        if (found === undefined) throw new Error(`no ${topic}/${partition}`)
        return { leader: found.leader, inSync: found.isr.length, copies: found.replicas.length }
      }),
    async grant({ user, topics, operations }) {
      const acl = operations.map((operation) => ({
        resourceType: AclResourceTypes.TOPIC,
        resourceName: topics,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: `User:${user}`,
        host: '*',
        operation: AclOperationTypes[operation],
        permissionType: AclPermissionTypes.ALLOW,
      }))
      await everywhere((admin) => admin.createAcls({ acl }), TELL_TIMEOUT_MS)
    },
    deleteTopic: (topic) =>
      everywhere(
        (admin) => admin.deleteTopics({ topics: [topic], timeout: TELL_TIMEOUT_MS / 2 }),
        TELL_TIMEOUT_MS,
      ),
  }
}
