import { eventsTopic } from '@serverless-ai/contracts/public-event'
import type { Clock, Logger, Timers } from '@serverless-ai/kernel'
import { logTopic, RECORD_MAX_BYTES } from '../port.ts'
import { type KafkaConnection, kafkaTarget } from './connection.ts'
import { clusterFailure, KafkaLogError } from './errors.ts'
import {
  type FoundTopic,
  kafkaJsErrorCode,
  type NewTopic,
  openTopicAdmin,
  type TopicAdmin,
} from './kafkajs-driver.ts'
import type { Dial } from './kafkajs-socket.ts'
import { KafkaReader } from './reader.ts'
import { KafkaWire } from './wire.ts'
import { kafkaErrorCode, WireError } from './wire-error.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
/** Default of how long public events are kept, ms. */
export const EVENTS_RETENTION_MS = 14 * DAY_MS
/** Measurements: a partition for each cell, without the prefix of a connection. */
export const TELEMETRY_TOPIC = 'serverlessai.telemetry.v1'
/** How long measurements are kept, ms: whoever judges by them has seen them long before. */
const TELEMETRY_RETENTION_MS = 6 * HOUR_MS
/** What a topic must take: the largest record with its headers and framing, bytes. */
const MESSAGE_MAX_BYTES = RECORD_MAX_BYTES + 1024 * 1024

/** What the topics are planned from. */
export interface TopicsOptions {
  /** Names of the services. */
  readonly services: readonly string[]
  /** Partitions of each topic: one per cell. Default 1. It can grow, never shrink. */
  readonly cells?: number
  /** Copies of each partition. Default 3; 1 for a single broker that may lose what it had. */
  readonly replication?: number
  /** How long public events are kept, ms, at least an hour. Default {@link EVENTS_RETENTION_MS}. */
  readonly eventsRetentionMs?: number
  /** With the topic of measurements, which belongs to no service. Default false. */
  readonly telemetry?: boolean
}

/** A topic as it must be. */
export interface TopicPlan extends NewTopic {
  readonly kind: 'log' | 'events' | 'telemetry'
}

/** Something that is not as planned. */
export interface TopicFinding {
  readonly topic: string
  /** `topic`, `partitions`, `replication`, or the name of a setting. */
  readonly setting: string
  readonly wanted: string
  /** Empty when the topic is missing. */
  readonly found: string
  /** What to do about it. */
  readonly mend: string
  /** True when `applyTopics` mends it. */
  readonly applied: boolean
}

/**
 * The topics of a platform, two for each service, without the prefix of a connection. A private log
 * keeps everything: it is trimmed by the platform itself, below verified snapshots. Measurements
 * may be lost: any copy may lead them, and hours of them are kept. Throws RangeError.
 */
export function planTopics(options: TopicsOptions): readonly TopicPlan[] {
  const { services, cells = 1, replication = 3, telemetry = false } = options
  const { eventsRetentionMs = EVENTS_RETENTION_MS } = options
  if (!Number.isInteger(cells) || cells < 1) throw new RangeError(`not a number of cells: ${cells}`)
  if (!Number.isInteger(replication) || replication < 1) {
    throw new RangeError(`not a number of copies: ${replication}`)
  }
  if (!(eventsRetentionMs >= HOUR_MS)) throw new RangeError('events are kept an hour at least')
  const common = {
    'cleanup.policy': 'delete',
    'min.insync.replicas': String(Math.min(2, replication)),
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(MESSAGE_MAX_BYTES),
    'retention.bytes': '-1',
  }
  const topic = (
    kind: TopicPlan['kind'],
    name: string,
    retentionMs: number,
    more: Readonly<Record<string, string>> = {},
  ): TopicPlan => ({
    kind,
    topic: name,
    partitions: cells,
    replicationFactor: replication,
    config: { ...common, 'retention.ms': String(retentionMs), ...more },
  })
  const lossy = { 'unclean.leader.election.enable': 'true', 'segment.ms': String(HOUR_MS) }
  return [
    ...services.flatMap((service) => [
      topic('log', logTopic(service), -1),
      topic('events', eventsTopic(service), eventsRetentionMs),
    ]),
    ...(telemetry ? [topic('telemetry', TELEMETRY_TOPIC, TELEMETRY_RETENTION_MS, lossy)] : []),
  ]
}

/** True when a setting is as good as the wanted one, on a topic with so many copies. */
function suffices(
  setting: string,
  { wanted, found }: { wanted: string; found: string },
  copies: number,
): boolean {
  if (setting === 'min.insync.replicas') {
    // With fewer copies than that no append is ever acknowledged.
    return Number(found) >= Number(wanted) && Number(found) <= copies
  }
  if (setting === 'max.message.bytes') return Number(found) >= Number(wanted)
  if (setting === 'retention.ms' || setting === 'retention.bytes') {
    const keeps = (value: string) => (value === '-1' ? Number.POSITIVE_INFINITY : Number(value))
    return keeps(found) >= keeps(wanted)
  }
  return found === wanted
}

const APPLY = "run 'sai admin topics apply'"

/** What of the plan is not as it must be; pure. `found` are the topics that exist. */
export function compareTopics(
  plan: readonly TopicPlan[],
  found: readonly FoundTopic[],
): readonly TopicFinding[] {
  const existing = new Map(found.map((each) => [each.topic, each]))
  return plan.flatMap((wanted): TopicFinding[] => {
    const { topic } = wanted
    const there = existing.get(topic)
    if (there === undefined) {
      const base = { topic, setting: 'topic', wanted: 'exists', found: '' }
      return [{ ...base, mend: APPLY, applied: true }]
    }
    const findings: TopicFinding[] = []
    const add = (setting: string, values: [string | number, string | number], mend?: string) =>
      findings.push({
        topic,
        setting,
        wanted: String(values[0]),
        found: String(values[1]),
        mend: mend ?? APPLY,
        applied: mend === undefined,
      })
    if (there.partitions < wanted.partitions) {
      add('partitions', [wanted.partitions, there.partitions])
    } else if (there.partitions > wanted.partitions) {
      const mend = 'partitions cannot be taken away: plan with as many cells as there are'
      add('partitions', [wanted.partitions, there.partitions], mend)
    }
    if (there.replicationFactor < wanted.replicationFactor) {
      const mend = 'move the partitions with kafka-reassign-partitions.sh, which adds the copies'
      add('replication', [wanted.replicationFactor, there.replicationFactor], mend)
    }
    for (const [setting, value] of Object.entries(wanted.config)) {
      const is = there.config.get(setting) ?? ''
      const copies = Math.max(there.replicationFactor, wanted.replicationFactor)
      if (!suffices(setting, { wanted: value, found: is }, copies)) {
        add(setting, [value, is])
      }
    }
    return findings
  })
}

/** How to reach the cluster for administration. */
export interface TopicsConnection extends KafkaConnection {
  readonly ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  readonly dial?: Dial
}

/** What an administrative request goes by. */
interface Administration {
  readonly admin: TopicAdmin
  readonly wire: KafkaWire
  readonly connection: TopicsConnection
}

/** Runs with an administrative connection; failures become {@link KafkaLogError}. */
async function administer<T>(
  connection: TopicsConnection,
  work: (by: Administration) => Promise<T>,
): Promise<T> {
  const target = kafkaTarget(connection)
  const { dial, ports } = connection
  const wire = new KafkaWire(target, dial)
  let admin: TopicAdmin | undefined
  try {
    // kafkajs keeps to the first broker that takes its connection, even if that one is hung.
    const { host, port } = await wire.answering()
    const there = { ...target, brokers: [`${host}:${port}`] }
    admin = await openTopicAdmin({ target: there, logger: ports.logger, ...(dial && { dial }) })
    return await work({ admin, wire, connection })
  } catch (error) {
    if (error instanceof KafkaLogError) throw error
    const code = error instanceof WireError ? kafkaErrorCode(error.code) : kafkaJsErrorCode(error)
    throw clusterFailure(target, code, error)
  } finally {
    wire.close()
    await admin?.close()
  }
}

/** Topics of these names that exist. One that this user may not see is an error, not missing. */
async function findTopics(
  { admin, wire }: Administration,
  names: readonly string[],
): Promise<readonly FoundTopic[]> {
  const found = await admin.find(names)
  const seen = new Set(found.map(({ topic }) => topic))
  for (const name of names.filter((each) => !seen.has(each))) {
    try {
      await wire.describe(name)
    } catch (error) {
      const missing = error instanceof WireError && kafkaErrorCode(error.code) === 'TOPIC_MISSING'
      if (!missing) throw error
    }
  }
  return found
}

/** How many brokers are up. {@link KafkaLogError} */
export const countBrokers = (connection: TopicsConnection): Promise<number> =>
  administer(connection, ({ admin }) => admin.brokerCount())

const prefixed = (plan: readonly TopicPlan[], prefix: string): readonly TopicPlan[] =>
  plan.map((each) => ({ ...each, topic: `${prefix}${each.topic}` }))

/** Compares the cluster with the plan; empty when all is well. {@link KafkaLogError} */
export function checkTopics(
  connection: TopicsConnection,
  plan: readonly TopicPlan[],
): Promise<readonly TopicFinding[]> {
  const wanted = prefixed(plan, kafkaTarget(connection).topicPrefix)
  const names = wanted.map(({ topic }) => topic)
  return administer(connection, async (by) => compareTopics(wanted, await findTopics(by, names)))
}

/**
 * Makes what is missing and sets what can be set; never deletes, never takes copies or partitions
 * away, and leaves settings alone that the plan does not name. Answers what is left for people to
 * mend. {@link KafkaLogError}
 */
export function applyTopics(
  connection: TopicsConnection,
  plan: readonly TopicPlan[],
): Promise<readonly TopicFinding[]> {
  const wanted = prefixed(plan, kafkaTarget(connection).topicPrefix)
  const names = wanted.map(({ topic }) => topic)
  return administer(connection, async (by) => {
    const before = compareTopics(wanted, await findTopics(by, names))
    const missing = new Set(before.filter(({ setting }) => setting === 'topic').map((f) => f.topic))
    const made = wanted.filter(({ topic }) => missing.has(topic))
    if (made.length > 0) await make(made, by)
    for (const { topic, partitions } of wanted) {
      const wrong = before.filter((each) => each.topic === topic && each.applied)
      if (missing.has(topic) || wrong.length === 0) continue
      if (wrong.some(({ setting }) => setting === 'partitions')) {
        await by.admin.extend(topic, partitions)
      }
      const settings = wrong.filter(({ setting }) => setting !== 'partitions')
      const config = Object.fromEntries(settings.map((each) => [each.setting, each.wanted]))
      if (settings.length > 0) await by.wire.setTopicConfig(topic, config)
    }
    return compareTopics(wanted, await findTopics(by, names))
  })
}

/** Makes topics and waits until each partition can be used. */
async function make(topics: readonly TopicPlan[], by: Administration): Promise<void> {
  const brokers = await by.admin.brokerCount()
  const copies = Math.max(...topics.map((each) => each.replicationFactor))
  if (brokers < copies) {
    const text = `${copies} copies need as many brokers; ${brokers} are up`
    throw new KafkaLogError('REFUSED', `${text}: start them, or plan with fewer copies`)
  }
  await by.admin.create(topics)
  const reader = new KafkaReader({
    ports: by.connection.ports,
    wire: by.wire,
    patienceMs: kafkaTarget(by.connection).requestTimeoutMs,
    closing: new AbortController().signal,
  })
  for (const { topic, partitions } of topics) {
    for (let partition = 0; partition < partitions; partition += 1) {
      await reader.range({ topic, partition })
    }
  }
}
