import { NodeSample } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { VirtualTime } from '@serverless-ai/kernel/testing'
import { expect, it } from 'vitest'
import { openInProcessBus, type ReceivedBatch, SourceMarks, TelemetrySender } from './index.ts'

const node = (nodeId: string) => ({
  $case: 'node' as const,
  value: NodeSample.fromPartial({ nodeId }),
})
const batch = (seq: bigint, bootId = 'b1') => ({ source: 'node/n1', bootId, seq })

it('gathers the samples of a source into numbered batches', async () => {
  const time = new VirtualTime()
  const bus = openInProcessBus(time)
  const reader = bus.subscribe()
  const rest = { bus, clock: time, timers: time, maxSamples: 2 }
  const sender = new TelemetrySender({ source: 'node/n1', bootId: 'b1', ...rest })
  for (const name of ['n1', 'n1', 'n1']) sender.add(node(name))
  await time.advance(250)
  sender.add(node('n1'))
  sender.close()
  await bus.close()
  const got: ReceivedBatch[] = []
  for await (const one of reader) got.push(one)
  expect(got.map(({ batch: { seq, samples } }) => [seq, samples.length])).toEqual([
    [1n, 2],
    [2n, 1],
  ])
  expect(got[1]!.batch.droppedSamples).toBe(1n)
})

it('leaves a repeated batch out, takes a late one, counts a lost one', () => {
  const marks = new SourceMarks()
  expect(marks.take(batch(1n), 0)?.missing).toBe(0)
  expect(marks.take(batch(1n), 0)).toBeUndefined()
  expect(marks.take(batch(4n), 0)?.missing).toBe(2)
  expect(marks.take(batch(2n), 0)?.missing).toBe(1)
  expect(marks.counts).toEqual({ received: 3, repeated: 1, lost: 1 })
})

it('a new boot begins again; a reader that comes later has missed nothing', () => {
  const marks = new SourceMarks()
  expect(marks.take(batch(500n), 0)).toEqual({ missing: 0, missingMs: 0 })
  expect(marks.take(batch(1n, 'b2'), 50_000)).toEqual({ missing: 0, missingMs: 0 })
  expect(marks.take(batch(9n, 'b3'), 60_000)).toEqual({ missing: 0, missingMs: 0 })
  expect(marks.counts.lost).toBe(0)
})

it('tells for how long batches did not come, and a source that rests from that', () => {
  const marks = new SourceMarks()
  const missingMs = (seq: bigint, nowMs: number) => marks.take(batch(seq), nowMs)?.missingMs
  expect(missingMs(7n, 1_000)).toBe(0)
  expect(missingMs(8n, 2_000)).toBe(0)
  // It had nothing to say.
  expect(missingMs(9n, 302_000)).toBe(0)
  expect(missingMs(400n, 602_000)).toBe(300_000)
  expect(missingMs(200n, 603_000)).toBe(0)
  expect(missingMs(401n, 604_000)).toBe(0)
})

it('what is missing for longer than the window is lost, once', () => {
  const marks = new SourceMarks()
  for (const seq of [1n, 3n, 5_000n]) marks.take(batch(seq), 0)
  expect(marks.counts.lost).toBe(1 + 4_996)
  expect(marks.take(batch(2n), 0)).toBeUndefined()
  expect(marks.counts.lost).toBe(1 + 4_996)
})

it('a reader that is too slow misses batches and sees that it did', async () => {
  const time = new VirtualTime()
  const bus = openInProcessBus(time)
  const reader = bus.subscribe()
  const rest = { source: 'node/n1', bootId: 'b1', sentMs: 0n, droppedSamples: 0n, samples: [] }
  for (let seq = 1n; seq <= 1_100n; seq += 1n) bus.publish({ ...rest, seq })
  const seen = reader[Symbol.asyncIterator]()
  await seen.next()
  await time.advance(5_000)
  bus.publish({ ...rest, seq: 1_101n })
  expect(reader.counts).toEqual({ received: 1_001, repeated: 0, lost: 100 })
  for (let seq = 2; seq <= 1_000; seq += 1) await seen.next()
  const { value } = await seen.next()
  expect(value).toMatchObject({ batch: { seq: 1_101n }, missing: 100, missingMs: 5_000 })
})
