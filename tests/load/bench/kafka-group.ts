// The way of reading that was not taken: a throw-away consumer group of kafkajs. Kept so that the
// decision can be measured again.
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'

/** Tells when records are seen. */
export interface GroupReader {
  /** From the call until the first record, ms. */
  readonly startMs: number
  /** Resolves with the time (performance.now) at which the record of the position was seen. */
  readonly seenAt: (position: number) => Promise<number>
  close(): Promise<void>
}

/** Joins a group of its own and tails partition 0 of the topic from `from`, which exists. */
export async function openGroupReader(init: {
  brokers: readonly string[]
  topic: string
  from: number
}): Promise<GroupReader> {
  const { brokers, topic, from } = init
  const started = performance.now()
  const seen = new Map<number, number>()
  const waiting = new Map<number, (at: number) => void>()
  const client = new kafkajs.Kafka({ brokers: [...brokers], logLevel: 0 })
  const consumer = client.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 300, minBytes: 1 })
  await consumer.connect()
  await consumer.subscribe({ topic })
  consumer.on('consumer.group_join', () =>
    consumer.seek({ topic, partition: 0, offset: `${from}` }),
  )
  const seenAt = (position: number): Promise<number> =>
    new Promise((resolve) => {
      const at = seen.get(position)
      if (at === undefined) waiting.set(position, resolve)
      else resolve(at)
    })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const at = performance.now()
      for (const { offset } of batch.messages) {
        seen.set(Number(offset), at)
        waiting.get(Number(offset))?.(at)
      }
    },
  })
  const startMs = (await seenAt(from)) - started
  return { startMs, seenAt, close: () => consumer.disconnect() }
}
