import { VirtualTime } from '@serverless-ai/kernel/testing'
import kafkajs, {
  type Batch,
  type ConsumerRunConfig,
  type EachBatchPayload,
  type Kafka,
} from 'kafkajs'
import { expect, it } from 'vitest'
import { TopicSession } from './topic-session.ts'

/** The client without its network; `batch` is what its runner does with a fetch. */
class QuietKafka {
  #eachBatch: ((payload: EachBatchPayload) => Promise<void>) | undefined

  asKafka(): Kafka {
    const kafka = new kafkajs.Kafka({ brokers: ['127.0.0.1:9'] })
    const quiet = { connect: async () => undefined, disconnect: async () => undefined }
    const admin = Object.assign(kafka.admin(), quiet, {
      fetchTopicOffsets: async () => [{ partition: 0, offset: '9', low: '0', high: '9' }],
    })
    const consumer = Object.assign(kafka.consumer({ groupId: 'g' }), quiet, {
      seek: () => undefined,
      subscribe: async () => undefined,
      run: async ({ eachBatch }: ConsumerRunConfig = {}) => {
        this.#eachBatch = eachBatch
      },
    })
    return Object.assign(kafka, { admin: () => admin, consumer: () => consumer })
  }

  batch(offsets: readonly number[], heartbeat: () => Promise<void>): Promise<void> {
    const messages = offsets.map((offset) => ({
      offset: String(offset),
      key: null,
      value: Buffer.from(`${offset}`),
    }))
    const payload = { batch: { messages } as Batch, heartbeat } as EachBatchPayload
    return this.#eachBatch?.(payload) ?? Promise.reject(new Error('nothing runs'))
  }
}

const offsets = ({ value }: IteratorResult<readonly { readonly offset: number }[]>) =>
  (value ?? []).map(({ offset }: { offset: number }) => offset)

it('reads on when the membership began anew while its reader was busy', async () => {
  const time = new VirtualTime()
  const kafka = new QuietKafka()
  const session = new TopicSession({
    kafka: kafka.asKafka(),
    topic: 'events',
    partition: 0,
    groupId: 'g',
    timers: time,
    signal: new AbortController().signal,
  })
  await session.open(0)
  const pieces = session.batches()
  const away = kafka.batch([0, 1], () => Promise.reject(new Error('the group was moved')))
  const told = expect(away).rejects.toThrow('moved')
  expect(offsets(await pieces.next())).toEqual([0, 1])
  // The reader takes its time, and the group takes it for gone.
  await time.advance(3_000)
  await told
  const again = kafka.batch([2, 3], async () => undefined)
  // What came meanwhile is not forgotten with what came before.
  const next = pieces.next()
  await time.advance(100)
  expect(offsets(await next)).toEqual([2, 3])
  const idle = pieces.next()
  await again
  await time.advance(5_000)
  expect(offsets(await idle)).toEqual([])
  await session.close()
})
