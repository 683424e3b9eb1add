import { NodeSample, type TelemetryBatch } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ReceivedBatch, TelemetryBus, TelemetrySubscription } from '../port.ts'

/** A batch of one sample. */
export const batchOf = (source: string, seq: number, bootId = 'b1'): TelemetryBatch => ({
  source,
  bootId,
  seq: BigInt(seq),
  sentMs: 1_700_000_000_000n,
  droppedSamples: 0n,
  samples: [
    {
      atMs: 1_700_000_000_000n,
      value: { $case: 'node', value: NodeSample.fromPartial({ nodeId: 'n1', cpuUsTotal: 7n }) },
    },
  ],
})

/** Where the suite gets its buses. */
export interface BusBench {
  /** Buses that share one medium; the first call opens it. */
  open(): TelemetryBus
  dispose(): Promise<void>
}

/**
 * Publishes from `hello/…` until the reader has the first: where it begins is settled by then, and
 * nothing of what the test publishes is before it.
 */
async function ready(bus: TelemetryBus, reader: AsyncIterator<ReceivedBatch>): Promise<void> {
  let seq = 0
  const first = reader.next()
  let there = false
  void first.then(() => {
    there = true
  })
  while (!there) {
    seq += 1
    bus.publish(batchOf('hello', seq))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The next batches that are no greeting. */
async function take(reader: AsyncIterator<ReceivedBatch>, count: number) {
  const got: ReceivedBatch[] = []
  while (got.length < count) {
    const step = await reader.next()
    if (step.done === true) break
    if (step.value.batch.source !== 'hello') got.push(step.value)
  }
  return got
}

const seqs = (got: readonly ReceivedBatch[]) =>
  got.map(({ batch: { source, seq }, missing }) => [source, Number(seq), missing])

/** What every bus promises. */
export function telemetryBusContract(name: string, make: () => Promise<BusBench>): void {
  describe(`telemetry bus: ${name}`, () => {
    let bench: BusBench
    let bus: TelemetryBus
    const begin = async (subscription: TelemetrySubscription) => {
      const reader = subscription[Symbol.asyncIterator]()
      await ready(bus, reader)
      return reader
    }
    beforeEach(async () => {
      bench = await make()
      bus = bench.open()
    })
    afterEach(async () => {
      await bus.close()
      await bench.dispose()
    })

    it('gives each reader each batch from its beginning on, in order, whole', async () => {
      const one = await begin(bus.subscribe())
      const other = await begin(bus.subscribe())
      for (const seq of [1, 2, 3]) expect(bus.publish(batchOf('node/n1', seq))).toBe('sent')
      const got = await take(one, 3)
      expect(got[0]?.batch).toMatchObject(batchOf('node/n1', 1))
      const wanted = [1, 2, 3].map((seq) => ['node/n1', seq, 0])
      expect(seqs(got)).toEqual(wanted)
      expect(seqs(await take(other, 3))).toEqual(wanted)
    })

    it('leaves out what is repeated and tells what is missing, by source and boot', async () => {
      const subscription = bus.subscribe()
      const reader = await begin(subscription)
      for (const seq of [1, 1, 4, 2]) bus.publish(batchOf('node/n1', seq))
      bus.publish(batchOf('node/n2', 9))
      bus.publish(batchOf('node/n1', 1, 'b2'))
      expect(seqs(await take(reader, 5))).toEqual([
        ['node/n1', 1, 0],
        ['node/n1', 4, 2],
        ['node/n1', 2, 1],
        ['node/n2', 9, 0],
        ['node/n1', 1, 0],
      ])
      expect(subscription.counts).toMatchObject({ repeated: 1, lost: 1 })
    })

    it('ends the readers when it is closed, and takes nothing more', async () => {
      const reader = await begin(bus.subscribe())
      await bus.close()
      for (let step = await reader.next(); step.done !== true; ) step = await reader.next()
      expect(bus.publish(batchOf('node/n1', 1))).toBe('dropped')
      expect(bus.counts.dropped).toBe(1)
    })

    it('gives a reader that left nothing more, and goes on for the others', async () => {
      const leaving = bus.subscribe()
      await begin(leaving)
      const staying = await begin(bus.subscribe())
      leaving.close()
      const { received } = leaving.counts
      bus.publish(batchOf('node/n1', 1))
      expect(seqs(await take(staying, 1))).toEqual([['node/n1', 1, 0]])
      expect(leaving.counts.received).toBe(received)
    })
  })
}
