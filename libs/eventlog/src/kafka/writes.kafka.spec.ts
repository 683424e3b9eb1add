import { systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AppendOutcomeUnknownError, type EventLog, type LogEntry } from '../port.ts'
import { FaultyLine, type WriteFate } from '../testing/faulty-line.ts'
import { type FreshTopics, kafkaCluster } from '../testing/kafka.ts'

const cluster = kafkaCluster()
const address = { topic: 'serverlessai.log.contract.v1', partition: 0 }
const entry = (text: string): LogEntry => ({ key: '', headers: {}, value: Buffer.from(text) })

async function texts(log: EventLog): Promise<string[]> {
  const found: string[] = []
  for (;;) {
    const options = { from: found.length, maxBytes: 1 << 20, waitMs: 0 }
    const { records } = await log.fetch(address, options)
    if (records.length === 0) return found
    found.push(...records.map(({ value }) => Buffer.from(value).toString()))
  }
}

describe.skipIf(cluster === undefined)('writes to Kafka', () => {
  let topics: FreshTopics
  let line: FaultyLine
  let log: EventLog

  beforeEach(async () => {
    topics = await cluster!.freshTopics()
    line = await FaultyLine.start(cluster!.brokers, systemTimers)
    log = await topics.open({ dial: line.dial, requestTimeoutMs: 2000 })
    await log.append(address, [entry('first')])
  })
  afterEach(async () => {
    await log.close()
    await line.close()
    await topics.remove()
  })

  /** The next requests that write have these fates; those after them go well. */
  const fates = (...next: readonly WriteFate[]): void => {
    const left = [...next]
    line.fate = () => left.shift() ?? 'ok'
  }

  it('drops copies of one send at the broker', async () => {
    fates('twice')
    expect(await log.append(address, [entry('a')])).toEqual({ position: 1 })
    expect(await log.append(address, [entry('b')])).toEqual({ position: 2 })
    expect(await texts(log)).toEqual(['first', 'a', 'b'])
  })

  it.each(['lost', 'unanswered', 'late'] as const)(
    'mends a send that is %s once, without a copy',
    async (fate) => {
      fates(fate)
      expect(await log.append(address, [entry('a')])).toEqual({ position: 1 })
      expect(await log.append(address, [entry('b')])).toEqual({ position: 2 })
      expect(await texts(log)).toEqual(['first', 'a', 'b'])
    },
  )

  it('says that the outcome is unknown when nothing of it is heard, landed or not', async () => {
    for (const fate of ['lost', 'unanswered'] as const) {
      fates(fate, fate)
      await expect(log.append(address, [entry(fate)])).rejects.toThrow(AppendOutcomeUnknownError)
    }
    expect(await texts(log)).toEqual(['first', 'unanswered'])
  })

  it('never acknowledges what an earlier send of unknown outcome stands for', async () => {
    // kafkajs takes the number of a failed send back: with the same producer the broker would take
    // the second send for a copy of the first, which landed, and acknowledge it without writing.
    fates('unanswered', 'unanswered')
    await expect(log.append(address, [entry('a')])).rejects.toThrow(AppendOutcomeUnknownError)
    const { position } = await log.append(address, [entry('b')])
    expect((await texts(log))[position]).toBe('b')
  })

  it('lets bytes that were appended again appear twice, whole', async () => {
    fates('unanswered', 'unanswered')
    const group = [entry('a'), entry('b')]
    await expect(log.append(address, group)).rejects.toThrow(AppendOutcomeUnknownError)
    expect(await log.append(address, group)).toEqual({ position: 3 })
    expect(await texts(log)).toEqual(['first', 'a', 'b', 'a', 'b'])
  })

  it('ends an append that nobody answers, and writes again when the line is whole', async () => {
    line.cut()
    await expect(log.append(address, [entry('cut')])).rejects.toThrow(/unknown|may be in the log/)
    // Now it is certain: not even a connection is to be had.
    await expect(log.append(address, [entry('still cut')])).rejects.toMatchObject({
      name: 'AppendRefusedError',
      code: 'IO',
    })
    line.mend()
    const { position } = await log.append(address, [entry('again')])
    const found = await texts(log)
    expect(found[position]).toBe('again')
    expect(found).not.toContain('still cut')
  })

  it('interleaves two openers, and both read the same', async () => {
    const other = await topics.open()
    await Promise.all(
      [log, other].map(async (opener, index) => {
        for (let n = 0; n < 20; n += 1) await opener.append(address, [entry(`${index}/${n}`)])
      }),
    )
    const [here, there] = [await texts(log), await texts(other)]
    expect(here).toHaveLength(41)
    expect(there).toEqual(here)
    for (const index of ['0', '1']) {
      const own = here.filter((text) => text.startsWith(`${index}/`))
      expect(own).toEqual(Array.from({ length: 20 }, (_, n) => `${index}/${n}`))
    }
    await other.close()
  })

  it('refuses what waits when it is closed, and sees the send on its way to its end', async () => {
    const outcomes = Promise.allSettled([
      log.append(address, [{ ...entry(''), value: Buffer.alloc(2 << 20) }]),
      log.append(address, [{ ...entry(''), value: Buffer.alloc(2 << 20) }]),
    ])
    await log.close()
    const [sent, waited] = await outcomes
    expect(sent.status).toBe('fulfilled')
    expect(waited).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
  })

  it('leaves no connection behind, however its sends ended', async () => {
    fates('lost', 'unanswered')
    await expect(log.append(address, [entry('a')])).rejects.toThrow(AppendOutcomeUnknownError)
    await log.append(address, [entry('b')])
    await log.range(address)
    expect(line.open).toBeGreaterThan(0)
    await log.close()
    while (line.open > 0) await systemTimers.sleep(20)
  })

  it('burns nothing while it is idle', async () => {
    const { setTimeout: original } = globalThis
    let armed = 0
    globalThis.setTimeout = Object.assign((...args: Parameters<typeof original>) => {
      armed += 1
      return original(...args)
    }, original)
    try {
      const { end } = await log.range(address)
      await log.fetch(address, { from: end, maxBytes: 1, waitMs: 1000 })
    } finally {
      globalThis.setTimeout = original
    }
    expect(armed).toBeLessThan(50)
  })
})
