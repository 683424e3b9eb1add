import { eventsTopic } from '@serverless-ai/eventlog'
import { type FreshTopics, kafkaCluster } from '@serverless-ai/eventlog/testing/kafka'
import kafkajs from 'kafkajs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Mark, SourceRecord } from '../events/event.ts'
import { MissedEventsError, SourceError } from '../events/ports.ts'
import { kafkaEvents } from './kafka-events.ts'

const cluster = kafkaCluster()
const SERVICE = 'contract'
const at = { topic: eventsTopic(SERVICE), partition: 1 }

const entry = (seq: number) => ({
  key: `k${seq}`,
  headers: {
    ce_id: `${SERVICE}/1/${seq}`,
    ce_type: 'test.v1.Set',
    ce_time: '2026-01-02T03:04:05.000Z',
  },
  value: new Uint8Array([seq % 256]),
})
const entries = (from: number, through: number) =>
  Array.from({ length: through - from + 1 }, (_, i) => entry(from + i))

const client = (brokers: readonly string[], more: Partial<kafkajs.KafkaConfig> = {}) =>
  new kafkajs.Kafka({
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 1, initialRetryTime: 50 },
    ...more,
  })

if (cluster !== undefined) {
  describe('public events by kafkajs', () => {
    let topics: FreshTopics
    beforeEach(async () => {
      topics = await cluster.freshTopics()
    })
    afterEach(() => topics.remove())

    const source = (kafka = client(cluster.brokers)) =>
      kafkaEvents({ kafka, service: SERVICE, partition: 1, topicPrefix: topics.topicPrefix })

    async function append(from: number, through: number): Promise<void> {
      await using log = await openLog()
      await log.append(at, entries(from, through))
    }

    async function openLog() {
      const log = await topics.open()
      return Object.assign(log, { [Symbol.asyncDispose]: () => log.close() })
    }

    /** Seqs that are read after a mark, until `count` are there. */
    async function read(
      after: Mark,
      count: number,
      onPiece: (records: readonly SourceRecord[]) => Promise<void> = async () => undefined,
    ): Promise<(number | undefined)[]> {
      const seqs: (number | undefined)[] = []
      const signal = AbortSignal.timeout(60_000)
      for (;;) {
        try {
          for await (const records of source().read(after, signal)) {
            seqs.push(...records.map(({ event }) => event?.seq))
            if (seqs.length >= count) return seqs
            await onPiece(records)
          }
        } catch (error) {
          // A fresh broker loads its coordinator first; `consumeEvents` tries again, too.
          const passing = error instanceof SourceError && error.passing && seqs.length === 0
          if (!passing) throw error
        }
      }
    }

    test('are read from behind the mark, of one partition alone, and live', async () => {
      await append(1, 5)
      await using log = await openLog()
      await log.append({ ...at, partition: 2 }, entries(1, 3))
      expect(await read({ seq: 0, offset: -1 }, 5)).toEqual([1, 2, 3, 4, 5])
      const live = read({ seq: 3, offset: 2 }, 4, () => append(6, 7))
      expect(await live).toEqual([4, 5, 6, 7])
    })

    test('that are missing are told: below the beginning, beyond the end, all gone', async () => {
      await append(1, 5)
      await using log = await openLog()
      await log.trim(at, 3)
      await expect(read({ seq: 0, offset: -1 }, 1)).rejects.toBeInstanceOf(MissedEventsError)
      await expect(read({ seq: 1, offset: 0 }, 1)).rejects.toBeInstanceOf(MissedEventsError)
      expect(await read({ seq: 3, offset: 2 }, 2)).toEqual([4, 5])
      await expect(read({ seq: 9, offset: 8 }, 1)).rejects.toBeInstanceOf(MissedEventsError)
      await log.trim(at, 5)
      await expect(read({ seq: 3, offset: 2 }, 1)).rejects.toBeInstanceOf(MissedEventsError)
    })

    test('that expire while somebody reads are told, however kafkajs moves on', async () => {
      await append(1, 5)
      const reading = read({ seq: 0, offset: -1 }, 9, async () => {
        // kafkajs has fetched no further than this piece, and will ask for what is gone.
        await append(6, 7)
        await using log = await openLog()
        await log.trim(at, 7)
        await append(8, 9)
      })
      await expect(reading).rejects.toBeInstanceOf(MissedEventsError)
    })

    test('are not to be had from a mark without an offset, which comes from a watch', async () => {
      await append(1, 2)
      await expect(read({ seq: 1, offset: -1 }, 1)).rejects.toBeInstanceOf(MissedEventsError)
    })

    test('are waited for where the topic or the broker is not there yet', async () => {
      const nowhere = [
        kafkaEvents({ kafka: client(cluster.brokers), service: 'not-there' }),
        source(client(['127.0.0.1:1'])),
      ]
      for (const each of nowhere) {
        const pieces = each.read({ seq: 0, offset: -1 }, new AbortController().signal)
        const failure = await pieces[Symbol.asyncIterator]()
          .next()
          .catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(SourceError)
        expect(failure).toMatchObject({ passing: true })
      }
    })

    test('end when they are no longer wanted', async () => {
      await append(1, 1)
      const stop = new AbortController()
      const seen: number[] = []
      const reading = (async () => {
        for await (const records of source().read({ seq: 0, offset: -1 }, stop.signal)) {
          seen.push(records.length)
          stop.abort(new Error('enough'))
        }
      })()
      await expect(reading).rejects.toThrow('enough')
      expect(seen).toEqual([1])
    })
  })
}
