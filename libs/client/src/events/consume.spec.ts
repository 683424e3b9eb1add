import { RpcError } from '@serverless-ai/kernel'
import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { faultsOf, Killed, MemoryTable } from '../testing/memory-table.ts'
import { MemoryTopic } from '../testing/memory-topic.ts'
import { type BootstrapReport, type ConsumeOptions, consumeEvents } from './consume.ts'
import { HistoryReplacedError, MissedEventsError, SourceError } from './ports.ts'

/** Consumes until the topic's end is reached. */
async function drain(
  topic: MemoryTopic,
  table: MemoryTable,
  more: Partial<ConsumeOptions> = {},
): Promise<readonly BootstrapReport[]> {
  const stop = new AbortController()
  const reports: BootstrapReport[] = []
  topic.atEnd = async () => stop.abort()
  const time = new VirtualTime()
  const ports = { clock: time, timers: time, randomness: seededRandomness(1) }
  const onBootstrap = (report: BootstrapReport) => void reports.push(report)
  const base = { source: topic, snapshots: topic, table, signal: stop.signal, onBootstrap }
  await time.run(consumeEvents({ ...base, ...ports, ...more }))
  return reports
}

function published(count: number): MemoryTopic {
  const topic = new MemoryTopic()
  for (let i = 1; i <= count; i += 1) topic.publish(topic.commit(`k${i % 5}`, i))
  return topic
}

describe('a consumer', () => {
  test('applies each event once, in order, with the mark', async () => {
    const [topic, table] = [published(23), new MemoryTable()]
    await drain(topic, table, { batchMax: 3 })
    expect(table.rows.applied).toEqual(Array.from({ length: 23 }, (_, i) => i + 1))
    expect(table.rows.mark).toEqual({ seq: 23, offset: 22 })
    expect(table.rows.state).toEqual(topic.state())
    expect(table.rows.bootstraps).toEqual([])
  })

  test('drops what was published twice, and what comes late', async () => {
    const [topic, table] = [published(6), new MemoryTable()]
    topic.publish(...topic.events.slice(2))
    topic.publish(topic.commit('k', 7))
    topic.publish(...topic.events.slice(0, 3))
    topic.publish(topic.commit('k', 8))
    await drain(topic, table)
    expect(table.rows.applied).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(table.rows.bootstraps).toEqual([])
  })

  test('mends a gap by the present state, and goes on after it', async () => {
    const [topic, table] = [published(4), new MemoryTable()]
    topic.commit('k1', 0)
    topic.commit('lost', 1)
    topic.publish(topic.commit('seen', 2), topic.commit('seen', 3))
    const reports = await drain(topic, table)
    expect(reports).toEqual([
      {
        cause: { kind: 'GAP', found: 7 },
        after: { seq: 4, offset: 3 },
        mark: { seq: 8, offset: 5 },
        events: 5,
      },
    ])
    expect(table.rows.applied).toEqual([1, 2, 3, 4])
    expect(table.rows.state).toEqual(topic.state())
    topic.publish(topic.commit('more', 9))
    await drain(topic, table)
    expect(table.rows.applied).toEqual([1, 2, 3, 4, 9])
  })

  test('mends a mark below the beginning of the topic, also of one that is empty', async () => {
    const [topic, table] = [published(4), new MemoryTable()]
    await drain(topic, table)
    topic.publish(topic.commit('a', 1), topic.commit('b', 2))
    topic.start = topic.records.length
    expect(await drain(topic, table)).toMatchObject([{ cause: { kind: 'OUT_OF_RANGE' } }])
    expect(table.rows.state).toEqual(topic.state())
    expect(faultsOf(table.rows, 6)).toEqual([])
  })

  test('begins an empty table with the history, or with the present state', async () => {
    const [topic, late, present] = [published(6), new MemoryTable(), new MemoryTable()]
    expect(await drain(topic, present, { begin: 'snapshot' })).toMatchObject([
      { cause: { kind: 'FIRST' }, after: { seq: 0 }, mark: { seq: 6, offset: 5 } },
    ])
    expect(present.rows).toMatchObject({ applied: [], state: topic.state() })
    topic.start = 2
    expect(await drain(topic, late)).toMatchObject([{ cause: { kind: 'OUT_OF_RANGE' } }])
    expect(late.rows.state).toEqual(topic.state())
  })

  test('leaves out a foreign record; an event hidden by it is shown by the next', async () => {
    const [topic, table] = [published(2), new MemoryTable()]
    topic.records.push({ offset: 2, problem: 'foreign' })
    topic.publish(topic.commit('k', 3))
    topic.commit('hidden', 4)
    topic.records.push({ offset: 4, problem: 'damaged' })
    topic.publish(topic.commit('k', 5))
    const skipped: unknown[] = []
    const onSkipped = (record: unknown) => skipped.push(record)
    expect(await drain(topic, table, { onSkipped })).toMatchObject([{ cause: { found: 5 } }])
    expect(skipped.length).toBeGreaterThanOrEqual(2)
    expect(table.rows.applied).toEqual([1, 2, 3])
  })

  test('takes no snapshot of a leader that is behind, and tells when it stays so', async () => {
    const [topic, table] = [published(4), new MemoryTable()]
    topic.commit('lost', 1)
    topic.publish(topic.commit('seen', 2))
    const old = { events: [], mark: { seq: 5, offset: 3 }, nextPageToken: '' }
    let asked = 0
    const behind = async (request: { pageToken: string }) => {
      asked += 1
      return asked < 3 ? old : topic.page(request)
    }
    const troubles: Error[] = []
    const onTrouble = (error: Error) => void troubles.push(error)
    await drain(topic, table, { snapshots: { page: behind }, onTrouble })
    expect(troubles.map(({ name }) => name)).toEqual(['SourceError', 'SourceError'])
    expect(table.rows.mark?.seq).toBe(6)
    topic.commit('lost', 3)
    topic.publish(topic.commit('seen', 4))
    const forever = drain(topic, table, { snapshots: { page: async () => old } })
    await expect(forever).rejects.toBeInstanceOf(HistoryReplacedError)
    expect(table.rows.mark?.seq).toBe(6)
  })

  test('tries again what may pass, and ends on what may not', async () => {
    const [topic, table] = [published(3), new MemoryTable()]
    const errors: Error[] = [
      new SourceError('away', { passing: true }),
      new RpcError({ code: 'UNAVAILABLE', reason: 'NOT_LEADING', message: 'elsewhere' }),
    ]
    const source = {
      read(...args: Parameters<MemoryTopic['read']>) {
        const error = errors.shift()
        if (error !== undefined) throw error
        return topic.read(...args)
      },
    }
    await drain(topic, table, { source })
    expect(table.rows.applied).toEqual([1, 2, 3])
    errors.push(new RpcError({ code: 'PERMISSION_DENIED', reason: 'NO', message: 'no right' }))
    await expect(drain(topic, table, { source })).rejects.toThrow('no right')
  })

  test('does not ask for the present state in a loop', async () => {
    const [topic, table] = [published(1), new MemoryTable()]
    await drain(topic, table)
    const time = new VirtualTime()
    const stop = new AbortController()
    const source = {
      // biome-ignore lint/correctness/useYield: it never has anything
      async *read(): AsyncGenerator<never> {
        throw new MissedEventsError('never fits')
      },
    }
    const ports = { clock: time, timers: time, randomness: seededRandomness(1) }
    const options = { source, snapshots: topic, table, signal: stop.signal, ...ports }
    const running = consumeEvents(options)
    await time.advance(60_000)
    stop.abort()
    await time.run(running)
    expect(topic.snapshots).toBeGreaterThan(3)
    expect(topic.snapshots).toBeLessThan(10)
  })
})

test('killed anywhere, over a faulty topic: each event once or bootstrapped', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant('publish' as const) },
    fc.constantFrom('lose', 'twice', 'late', 'remove', 'trim', 'foreign', 'read'),
  )
  const history = fc.array(step, { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(history, fc.infiniteStream(fc.nat(9)), async (steps, dice) => {
      const [topic, table] = [new MemoryTopic(), new MemoryTable()]
      const roll = (): number => dice.next().value ?? 0
      table.dies = () => roll() === 0
      const live = async (): Promise<void> => {
        for (;;) {
          try {
            await drain(topic, table, { batchMax: 1 + roll() })
            return
          } catch (error) {
            if (!(error instanceof Killed)) throw error
          }
        }
      }
      for (const [i, what] of steps.entries()) {
        if (what === 'read') await live()
        else if (what === 'lose') topic.commit(`k${roll()}`, i + 1)
        else if (what === 'remove') topic.publish(topic.commit(`k${roll()}`, 0))
        else if (what === 'twice') topic.publish(...topic.events.slice(-roll()))
        else if (what === 'late') topic.publish(...topic.events.slice(0, roll()))
        else if (what === 'trim') topic.start = Math.max(0, topic.records.length - roll())
        else if (what === 'foreign') {
          topic.records.push({ offset: topic.records.length, problem: 'foreign' })
        } else topic.publish(topic.commit(`k${roll()}`, i + 1))
      }
      // The last one shows whatever was lost before it.
      topic.publish(topic.commit('last', 1))
      await live()
      expect(table.rows.mark?.seq).toBe(topic.events.length)
      expect(faultsOf(table.rows, topic.events.length)).toEqual([])
      expect([...table.rows.state].toSorted()).toEqual([...topic.state()].toSorted())
      expect(table.rows.applied).toEqual(table.rows.applied.toSorted((a, b) => a - b))
    }),
    { numRuns: 300 },
  )
})
