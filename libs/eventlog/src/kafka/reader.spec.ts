import { VirtualTime } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../port.ts'
import { silent } from '../testing/silent.ts'
import { KafkaReader } from './reader.ts'
import type { WirePiece } from './wire.ts'
import { WireError } from './wire-error.ts'

const at = { topic: 'log', partition: 0 }
const record = (position: number): LogRecord => {
  return { position, key: '', headers: {}, value: Buffer.from(`${position}`) }
}
const piece = (positions: readonly number[], end: number): WirePiece => {
  return { records: positions.map(record), start: 0, end }
}

/** A reader whose broker gives these answers one after the other, then the last one for ever. */
function rig(...answers: readonly (WirePiece | WireError)[]) {
  const time = new VirtualTime()
  const closing = new AbortController()
  let asked = 0
  let forgotten = 0
  const reader = new KafkaReader({
    ports: { clock: time, timers: time, logger: silent },
    patienceMs: 1000,
    closing: closing.signal,
    wire: {
      async fetch(_, { waitMs }) {
        const answer = answers[Math.min(asked, answers.length - 1)]!
        asked += 1
        if (answer instanceof WireError) throw answer
        if (answer.records.length === 0) await time.sleep(waitMs)
        return answer
      },
      range: async () => ({ start: 4, end: 9 }),
      deleteBelow: async () => undefined,
      forgetLeader: () => {
        forgotten += 1
      },
    },
  })
  const fetch = (from: number, waitMs = 0) =>
    time.run(
      reader.fetch(at, {
        from,
        maxBytes: 100,
        waitMs,
        stop: () => closing.signal.throwIfAborted(),
      }),
    )
  return { time, closing, fetch, asked: () => asked, forgotten: () => forgotten }
}

describe('reads from a Kafka partition', () => {
  it('gives what is there, with the range', async () => {
    expect(await rig(piece([5, 6], 7)).fetch(5)).toMatchObject({ start: 0, end: 7 })
  })

  it('waits as long as it was asked to, and asks for the leader meanwhile', async () => {
    const r = rig(piece([], 5))
    expect(await r.fetch(5, 3000)).toEqual({ records: [], start: 0, end: 5 })
    expect(r.time.monotonicMs()).toBe(3000)
    expect(r.forgotten()).toBe(r.asked())
    expect(r.asked()).toBeLessThan(10)
  })

  it('returns as soon as something comes', async () => {
    const r = rig(piece([], 5), piece([5], 6))
    expect((await r.fetch(5, 60_000)).records).toHaveLength(1)
    expect(r.time.monotonicMs()).toBeLessThan(2000)
  })

  it('is not misled by a replica that does not know the newest end yet', async () => {
    expect(await rig(piece([], 3)).fetch(5)).toEqual({ records: [], start: 0, end: 5 })
  })

  it('raises with the range for a position outside of it', async () => {
    const r = rig(new WireError('OFFSET_OUT_OF_RANGE', ''))
    await expect(r.fetch(3)).rejects.toMatchObject({ name: 'LogOutOfRangeError', start: 4, end: 9 })
    await expect(r.fetch(10)).rejects.toMatchObject({ name: 'LogOutOfRangeError' })
    await expect(r.fetch(-1)).rejects.toMatchObject({ name: 'LogOutOfRangeError' })
  })

  it('asks again where the range says that the position is there', async () => {
    const r = rig(new WireError('OFFSET_OUT_OF_RANGE', ''), piece([5], 9))
    expect((await r.fetch(5)).records).toHaveLength(1)
  })

  it('raises for a gap before the first record', async () => {
    await expect(rig(piece([6, 7], 8)).fetch(5)).rejects.toMatchObject({ name: 'LogGapError' })
  })

  it('gives the records before a gap', async () => {
    const { records, end } = await rig(piece([5, 6, 8], 9)).fetch(5)
    expect([records.map(({ position }) => position), end]).toEqual([[5, 6], 9])
  })

  it('raises for positions that stay empty although later ones are there', async () => {
    await expect(rig(piece([], 9)).fetch(5, 60_000)).rejects.toMatchObject({ name: 'LogGapError' })
  })

  it('bears with brokers that fail, for as long as its patience lasts', async () => {
    const down = new WireError('NETWORK', 'refused')
    const r = rig(down, down, new WireError('NOT_LEADER_OR_FOLLOWER', ''), piece([5], 6))
    expect((await r.fetch(5)).records).toHaveLength(1)
    const gone = rig(down)
    await expect(gone.fetch(5)).rejects.toMatchObject({ code: 'UNREACHABLE' })
    expect(gone.time.monotonicMs()).toBeGreaterThanOrEqual(1000)
    expect(gone.time.monotonicMs()).toBeLessThan(1300)
  })

  it('does not repeat what no repetition mends', async () => {
    const r = rig(new WireError('TOPIC_AUTHORIZATION_FAILED', 'no'))
    await expect(r.fetch(5)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    expect(r.asked()).toBe(1)
  })
})
