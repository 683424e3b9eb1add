import { type Randomness, type Timers, uuidV7 } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import type { Kafka } from 'kafkajs'
import { eventsTopic, type Mark, readRecord, type SourceRecord } from '../events/event.ts'
import { type EventSource, MissedEventsError, SourceError } from '../events/ports.ts'
import { isFinal, TopicSession } from './topic-session.ts'

/** Whose events, and through which client. */
export interface KafkaEventsOptions {
  /**
   * The application's own kafkajs client, with its TLS, SASL and retry settings. A read keeps to
   * the first broker that takes its connection: give `brokers` as a function that turns the list,
   * and a `requestTimeout` of seconds, so that a hung broker is left for another one.
   */
  readonly kafka: Kafka
  /** Owner, for example `scheduler`. */
  readonly service: string
  /** Cell = partition of the topic. Default 0. */
  readonly partition?: number
  /** Prefix of the platform's topics. Default none. */
  readonly topicPrefix?: string
  /**
   * kafkajs reads through consumer groups only. Each read joins one of its own that nobody else
   * knows: this prefix and a random id, for the ACL. Default `serverlessai-events-`. Nothing is
   * ever committed to it; the mark is in the table.
   */
  readonly groupPrefix?: string
  readonly timers?: Timers
  readonly randomness?: Randomness
}

/** Public events from their topic, by kafkajs. */
export function kafkaEvents(options: KafkaEventsOptions): EventSource {
  const { kafka, service, partition = 0, topicPrefix = '' } = options
  const { groupPrefix = 'serverlessai-events-' } = options
  const { timers = systemTimers, randomness = systemRandomness } = options
  const topic = eventsTopic(service, topicPrefix)
  return {
    async *read(after: Mark, signal: AbortSignal): AsyncGenerator<readonly SourceRecord[]> {
      const groupId = `${groupPrefix}${uuidV7(systemClock.wallMs(), randomness.bytes(10))}`
      const session = new TopicSession({ kafka, topic, partition, groupId, timers, signal })
      try {
        await session.open(firstOffset(after))
        for await (const batch of session.batches()) {
          yield batch.map((record) => readRecord({ service, partition }, record))
        }
      } catch (error) {
        if (signal.aborted || error instanceof MissedEventsError) throw error
        const text = error instanceof Error ? error.message : String(error)
        throw new SourceError(`${topic}/${partition}: ${text}`, {
          passing: !isFinal(error),
          cause: error,
        })
      } finally {
        await session.close()
      }
    },
  }
}

/**
 * Where to go on. A mark without an offset comes from a watch: where its event lies in the topic is
 * not known, and a search could not tell a topic that was emptied from one without news.
 */
function firstOffset({ seq, offset }: Mark): number {
  if (offset >= 0 || seq === 0) return offset + 1
  throw new MissedEventsError(`the mark of event ${seq} knows no offset`)
}
