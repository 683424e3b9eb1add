/** Topics of their own for each test, on the broker that the vitest project `kafka` has started. */
import { randomBytes } from 'node:crypto'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { inject, test } from 'vitest'
import { kafkaTarget } from '../kafka/connection.ts'
import { openTopicAdmin, type TopicAdmin } from '../kafka/kafkajs-driver.ts'
import { type KafkaLogOptions, openKafkaLog } from '../kafka/open.ts'
import { applyTopics, planTopics } from '../kafka/topics.ts'
import type { EventLog } from '../port.ts'
import { silent } from './silent.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Bootstrap addresses, `host:port`, comma-separated; empty where no broker can be had. */
    kafkaBrokers: string
  }
}

/** Topics that only one test uses. */
export interface FreshTopics {
  readonly topicPrefix: string
  /** Opens them; over a network of the test's own with `dial`. */
  open(options?: Partial<KafkaLogOptions>): Promise<EventLog>
  /** Makes them again after `remove`. */
  make(): Promise<void>
  admin(): Promise<TopicAdmin>
  remove(): Promise<void>
}

/** The cluster of this run. */
export interface KafkaCluster {
  readonly brokers: readonly string[]
  /** Makes topics of the service `contract` with four partitions under a prefix of their own. */
  freshTopics(): Promise<FreshTopics>
}

const SERVICE = 'contract'
const CELLS = 4

/** The cluster, or undefined where there is none; then one skipped test says so. */
export function kafkaCluster(): KafkaCluster | undefined {
  const brokers = inject('kafkaBrokers')
    .split(',')
    .filter((broker) => broker !== '')
  if (brokers.length === 0) {
    test.skip('left out: no Kafka broker here')
    return undefined
  }
  return { brokers, freshTopics: () => freshTopics(brokers) }
}

async function freshTopics(brokers: readonly string[]): Promise<FreshTopics> {
  const topicPrefix = `t${randomBytes(6).toString('hex')}.`
  const ports = { clock: systemClock, timers: systemTimers, logger: silent }
  const connection = { brokers, topicPrefix, ports }
  const plan = planTopics({ services: [SERVICE], cells: CELLS, replication: 1 })
  const make = async (): Promise<void> => {
    const left = await applyTopics(connection, plan)
    if (left.length > 0) throw new Error(`topics are not as planned: ${JSON.stringify(left)}`)
  }
  await make()
  const admin = () => openTopicAdmin({ target: kafkaTarget(connection), logger: silent })
  return {
    topicPrefix,
    open: (options) => openKafkaLog({ ...connection, ...options }),
    make,
    admin,
    async remove() {
      const connected = await admin()
      await connected.remove(plan.map(({ topic }) => `${topicPrefix}${topic}`))
      await connected.close()
    },
  }
}
