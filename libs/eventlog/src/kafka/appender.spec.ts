import { VirtualTime } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { RECORD_MAX_BYTES } from '../port.ts'
import { silent } from '../testing/silent.ts'
import { type ObservedAppend, PartitionAppender } from './appender.ts'
import { type Outgoing, type PartitionWriter, SendFailure } from './kafkajs-driver.ts'

const TIMEOUT_MS = 1000
const entry = (text: string) => ({ key: '', headers: {}, value: Buffer.from(text) })
const failure = (sent: SendFailure['sent'], type = '') =>
  new SendFailure(sent, Object.assign(new Error(type), { type }))

/** What the next openings or sends do; afterwards all goes well. */
type Step = SendFailure | 'hang' | 'ok'

function rig() {
  const time = new VirtualTime()
  const landed: string[][] = []
  const opens: Step[] = []
  const sends: Step[] = []
  const ended: ObservedAppend[] = []
  let retries = 0
  let opened = 0
  let closed = 0
  const play = async (steps: Step[]): Promise<void> => {
    await time.sleep(10)
    const step = steps.shift()
    if (step === 'hang') await new Promise(() => undefined)
    if (step instanceof SendFailure) throw step
  }
  const writer = (): PartitionWriter => ({
    async send(records: readonly Outgoing[]) {
      await play(sends)
      const position = landed.flat().length
      landed.push(records.map(({ value }) => value.toString()))
      return position
    },
    async close() {
      closed += 1
    },
  })
  const appender = new PartitionAppender({
    ports: { clock: time, timers: time, logger: silent },
    topic: 'log',
    partition: 0,
    timeoutMs: TIMEOUT_MS,
    observer: {
      ended: (batch) => ended.push(batch),
      retried: () => {
        retries += 1
      },
    },
    async open() {
      await play(opens)
      opened += 1
      return writer()
    },
  })
  const append = (...texts: string[]) => appender.append(texts.map(entry))
  return {
    time,
    appender,
    append,
    landed,
    opens,
    sends,
    ended,
    retries: () => retries,
    writers: () => ({ opened, closed }),
  }
}

describe('an observer of appends', () => {
  it('hears of outcomes, bytes and time, and of what is sent again', async () => {
    const r = rig()
    await r.time.run(r.append('a'))
    r.sends.push(failure('no'))
    await r.time.run(r.append('b'))
    r.sends.push(failure('unknown'))
    await expect(r.time.run(r.append('c'))).rejects.toThrow(/may be in the log/)
    const type = 'MESSAGE_TOO_LARGE'
    const protocol = new (await kafkaError())(
      Object.assign(new Error(type), { type, code: 1, retriable: false }),
    )
    r.sends.push(new SendFailure('refused', protocol))
    await expect(r.time.run(r.append('d'))).rejects.toThrow(/max.message.bytes/)
    const outcomes = r.ended.map(({ topic, outcome }) => `${topic} ${outcome}`)
    expect(outcomes).toEqual(['log acknowledged', 'log acknowledged', 'log unknown', 'log refused'])
    expect(r.retries()).toBe(1)
    expect(r.ended.every(({ bytes, tookMs }) => bytes > 0 && tookMs >= 10)).toBe(true)
    expect(r.ended[1]?.tookMs).toBeGreaterThan(100)
  })
})

describe('appends to a Kafka partition', () => {
  it('shares batches among those who wait, in order, each whole', async () => {
    const r = rig()
    const acks = [r.append('a'), r.append('b', 'c'), r.append('d')]
    const positions = await r.time.run(Promise.all(acks))
    expect(positions).toEqual([{ position: 0 }, { position: 1 }, { position: 3 }])
    // The first goes at once; those who come while it is on its way go together.
    expect(r.landed).toEqual([['a'], ['b', 'c', 'd']])
    await r.time.run(Promise.all([r.append('e'), r.append('f'), r.append('g')]))
    expect(r.landed.slice(2)).toEqual([['e'], ['f', 'g']])
    expect(r.writers()).toEqual({ opened: 1, closed: 0 })
  })

  it('sends large appends alone', async () => {
    const r = rig()
    const large = 'x'.repeat(1 << 20)
    await r.time.run(Promise.all([r.append('a'), r.append(large), r.append('b'), r.append('c')]))
    expect(r.landed.map((batch) => batch.map((text) => text.length))).toEqual([
      [1],
      [large.length],
      [1, 1],
    ])
  })

  it('takes a fresh producer after every failure', async () => {
    const r = rig()
    r.sends.push(failure('unknown'), failure('refused', 'NOT_LEADER_FOR_PARTITION'))
    await expect(r.time.run(r.append('a'))).rejects.toMatchObject({
      name: 'AppendOutcomeUnknownError',
    })
    expect(await r.time.run(r.append('b'))).toEqual({ position: 0 })
    expect(r.landed).toEqual([['b']])
    expect(r.writers()).toEqual({ opened: 3, closed: 2 })
  })

  it('tells all who share a batch of its unknown outcome, and nobody else', async () => {
    const r = rig()
    r.sends.push('ok', failure('unknown'))
    const large = 'x'.repeat(1 << 20)
    const appends = [r.append('first'), r.append('a'), r.append('b'), r.append(large)]
    const outcomes = await r.time.run(Promise.allSettled(appends))
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ])
  })

  it('gives up waiting for an answer: unknown once it was sent, refused before', async () => {
    const r = rig()
    r.sends.push('hang')
    const startMs = r.time.monotonicMs()
    await expect(r.time.run(r.append('a'))).rejects.toMatchObject({
      name: 'AppendOutcomeUnknownError',
    })
    expect(r.time.monotonicMs() - startMs).toBeLessThan(1.1 * TIMEOUT_MS)
    r.opens.push('hang')
    await expect(r.time.run(r.append('b'))).rejects.toMatchObject({ code: 'IO' })
    expect(await r.time.run(r.append('c'))).toEqual({ position: 0 })
  })

  it('repeats what certainly was not appended, for as long as it promised', async () => {
    const r = rig()
    r.opens.push(...Array.from({ length: 100 }, () => failure('no')))
    const startMs = r.time.monotonicMs()
    await expect(r.time.run(r.append('a'))).rejects.toMatchObject({ code: 'IO' })
    expect(r.time.monotonicMs() - startMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    expect(r.time.monotonicMs() - startMs).toBeLessThan(1.2 * TIMEOUT_MS)
  })

  it.each([
    ['MESSAGE_TOO_LARGE', 'RECORD_TOO_LARGE'],
    ['TOPIC_AUTHORIZATION_FAILED', 'READ_ONLY'],
  ])('refuses at once what repeating cannot mend: %s', async (type, code) => {
    const r = rig()
    const protocol = new (await kafkaError())(
      Object.assign(new Error(type), { type, code: 1, retriable: false }),
    )
    r.sends.push(new SendFailure('refused', protocol))
    await expect(r.time.run(r.append('a'))).rejects.toMatchObject({ code })
    expect(r.time.monotonicMs()).toBeLessThan(100)
  })

  it('refuses batches that no topic takes, before anything is sent', async () => {
    const r = rig()
    const half = 'x'.repeat(RECORD_MAX_BYTES / 2)
    await expect(r.append(half, half, half)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect(r.writers().opened).toBe(0)
  })

  it('refuses what waits when it is closed, and sees the batch on its way to its end', async () => {
    const r = rig()
    const sent = r.append('x'.repeat(1 << 20))
    const waiting = expect(r.append('y'.repeat(1 << 20))).rejects.toMatchObject({ code: 'CLOSED' })
    await r.time.run(r.appender.close())
    expect(await sent).toEqual({ position: 0 })
    await waiting
    await expect(r.append('z')).rejects.toMatchObject({ code: 'CLOSED' })
    expect(r.writers()).toEqual({ opened: 1, closed: 1 })
  })
})

async function kafkaError() {
  return (await import('kafkajs')).default.KafkaJSProtocolError
}
