import { describe, expect, it } from 'vitest'
import type { Clause } from './model.ts'
import type { BatchFacts, EndedFact, LoadFact } from './signal-facts.ts'
import { SignalBook } from './signals.ts'

const S = 'j-0-s'
const G = 'gateway/r1'
const NOON = 1_795_348_800_000
const CLAUSES: readonly Clause[] = [
  { indicator: 'wait', thresholdUs: 1_000_000, missPpm: 10_000 },
  { indicator: 'ttft', thresholdUs: 50_000, missPpm: 10_000 },
]

/** A book, and a gate whose clock is `aheadMs` before that of the book. */
function listening(aheadMs = 0) {
  const book = new SignalBook(0)
  let monoMs = 0
  const now = () => ({ wallMs: NOON + monoMs, monoMs })
  const batch = (more: Partial<BatchFacts>): BatchFacts => ({
    source: G,
    bootId: 'b1',
    sentMs: NOON + monoMs + aheadMs,
    missingMs: 0,
    loads: [],
    ended: [],
    ...more,
  })
  return {
    pass: (ms: number) => {
      monoMs += ms
    },
    load: (more: Partial<LoadFact>, about: Partial<BatchFacts> & { lateMs?: number } = {}) => {
      const { lateMs = 0, ...rest } = about
      const atMs = NOON + monoMs + aheadMs - lateMs
      const load = { jobId: S, atMs, inside: 0, held: 0, arrivedTotal: 0, ...more }
      book.take(batch({ loads: [load], sentMs: atMs, ...rest }), now())
    },
    ended: (more: Partial<EndedFact> = {}) => {
      const atMs = NOON + monoMs + aheadMs + 1
      const base = { jobId: S, atMs, arrivedMs: atMs - 120, answered: true, outputTokens: 7 }
      const request = { ...base, queueUs: 20_000, ttftUs: 30_000, e2eUs: 120_000, ...more }
      return book.take(batch({ ended: [request] }), now())
    },
    /** It was given to no replica. */
    neverGiven: () => {
      const atMs = NOON + monoMs + aheadMs + 1
      const base = { jobId: S, atMs, arrivedMs: atMs - 120 }
      const request = { ...base, answered: false, outputTokens: 7, e2eUs: 120_000 }
      book.take(batch({ ended: [request] }), now())
    },
    demand: (queued: number) => book.demand({ jobId: S, gateway: G, queued }, now()),
    row: (seeds: readonly string[] = []) => book.row(S, { clauses: CLAUSES, seeds }, now()),
  }
}

describe('what gates tell', () => {
  it('adds arrivals up between steps, over gates', () => {
    const { load, row, pass } = listening()
    load({ inside: 2, held: 1, arrivedTotal: 100 })
    // Of a gate that is heard for the first time only those that are there came just now.
    expect(row()).toMatchObject({ came: [3, 0], held: [1, 0], inside: [2, 0], busy: [G] })
    pass(1_000)
    load({ inside: 4, arrivedTotal: 120 })
    load({ inside: 1, arrivedTotal: 5 }, { source: 'gateway/r2', bootId: 'x' })
    expect(row()).toMatchObject({ came: [21, 0], inside: [5, 0] })
    expect(row().came).toEqual([0, 0])
    // A gate that begins anew counts anew.
    load({ inside: 1, arrivedTotal: 2 }, { bootId: 'b2' })
    expect(row().came).toEqual([1, 0])
  })

  it('tells how requests ended, by clause', () => {
    const { load, ended, neverGiven, row } = listening()
    load({ inside: 3, arrivedTotal: 3 })
    ended()
    ended({ ttftUs: 60_000 })
    neverGiven()
    const seen = row()
    const times = { finished: 3, outputTokens: 21, served: 2, serviceUs: 200_000 }
    expect(seen.ended).toEqual({ ...times, missed: [1, 2], ageMs: 0 })
    // Two of the three are inside no more, whatever the load before said.
    expect(seen.inside).toEqual([1, 0])
    expect(row().ended).toBeUndefined()
  })

  it('learns what an answer takes from answers, not from what was refused or failed', () => {
    const { load, ended, neverGiven, row } = listening()
    load({ inside: 2, held: 90, arrivedTotal: 92 })
    ended()
    for (let n = 0; n < 90; n += 1) neverGiven()
    ended({ answered: false, queueUs: 1_000, e2eUs: 2_000 })
    expect(row().ended).toMatchObject({ finished: 92, served: 1, serviceUs: 100_000 })
  })

  it('whose next reader has not read it tells that one of the last minute, not of all time', () => {
    const { load, ended, row, pass } = listening()
    for (let second = 1; second <= 3_600; second += 1) {
      pass(1_000)
      load({ inside: 1, arrivedTotal: second * 10 })
      for (let n = 0; n < 10; n += 1) ended()
    }
    const { came, spanMs = 0, ended: over } = row()
    expect(spanMs).toBeGreaterThan(0)
    expect(spanMs).toBeLessThanOrEqual(65_000)
    expect(Math.abs((came?.[0] ?? 0) - (spanMs / 1_000) * 10)).toBeLessThanOrEqual(20)
    expect(Math.abs((over?.finished ?? 0) - (spanMs / 1_000) * 10)).toBeLessThanOrEqual(20)
    pass(1_000)
    load({ inside: 1, arrivedTotal: 36_010 })
    expect(row()).toMatchObject({ came: [10, 0], spanMs: 1_000 })
  })

  it('takes what came while batches did not for no burst, and for no rest before', () => {
    const { load, row, pass } = listening()
    load({ arrivedTotal: 50 })
    row()
    for (let second = 0; second < 300; second += 1) {
      pass(1_000)
      row()
    }
    load({ inside: 2, arrivedTotal: 3_050 }, { missingMs: 300_000 })
    const seen = row()
    expect(seen.came?.[0]).toBeLessThanOrEqual(20)
    expect(seen.restMs).toBeUndefined()
    // A gate that said nothing because nobody came is something else.
    pass(300_000)
    row()
    load({ inside: 40, arrivedTotal: 3_090 })
    expect(row().came).toEqual([40, 0])
  })

  it('hears of the end of a request before the gate tells that it came', () => {
    const { load, ended, demand, row, pass } = listening()
    load({ arrivedTotal: 7 })
    pass(2_000)
    demand(2)
    pass(500)
    expect(ended()).toEqual([])
    // Nothing is left to do.
    expect(ended()).toEqual([S])
    expect(row()).toMatchObject({ came: [2, 500], held: [0, 500], inside: [0, 500] })
    pass(400)
    load({ arrivedTotal: 9 })
    expect(row()).toMatchObject({ came: [0, 0], held: [0, 0] })
    load({ arrivedTotal: 10, inside: 1 })
    expect(row().came).toEqual([1, 0])
  })

  it('knows silence of a gate that has nothing from silence of one that held requests', () => {
    const { load, row, pass } = listening()
    load({ inside: 1, arrivedTotal: 1 })
    pass(1_000)
    load({ arrivedTotal: 1 })
    pass(300_000)
    expect(row()).toEqual({ jobId: S, busy: [], came: [0, 0], held: [0, 0], inside: [0, 0] })
    load({ inside: 1, arrivedTotal: 2 })
    pass(60_000)
    expect(row()).toMatchObject({ inside: [1, 60_000], busy: [G] })
    load({ arrivedTotal: 9 }, { source: 'gateway/r2' })
    expect(row()).toMatchObject({ silent: 1, inside: [0, 0], busy: [G] })
    pass(600_000)
    expect(row()).toMatchObject({ came: [0, 0], busy: [] })
  })

  it('knows nothing at first, and nothing of gates that held requests before it listened', () => {
    const { load, row, pass } = listening()
    expect(row()).toEqual({ jobId: S, busy: [] })
    pass(15_000)
    expect(row()).toMatchObject({ came: [0, 0] })
    expect(row([G])).toEqual({ jobId: S, busy: [G], spanMs: 0 })
    load({ inside: 1, arrivedTotal: 50 })
    expect(row([G])).toMatchObject({ came: [1, 0], busy: [G] })
    expect(row([G, 'gateway/r9'])).toMatchObject({ silent: 1 })
  })

  it('passes on what is old, from the future or impossible, marked as such', () => {
    const frozen = listening()
    frozen.load({ inside: 1 }, { sentMs: NOON + 30_000, lateMs: 0 })
    expect(frozen.row().inside).toEqual([1, -30_000])
    const old = listening()
    old.load({ inside: 1 }, { lateMs: 20_000, sentMs: NOON })
    expect(old.row().inside).toEqual([1, 20_000])
    const absurd = listening()
    absurd.load({ inside: 4_000_000_000 })
    expect(absurd.row()).toMatchObject({ came: [-1, 0], inside: [-1, 0] })
    absurd.load({ arrivedTotal: Number.MAX_VALUE })
    expect(absurd.row().came).toEqual([-1, 0])
    // A clock that is off by little is not held against a gate.
    const skewed = listening(4_000)
    skewed.load({ inside: 1 })
    expect(skewed.row().inside).toEqual([1, 0])
  })

  it.each([0, 4_000, -30_000])('believes what is said at once, clocks %i ms apart', (aheadMs) => {
    const { load, demand, row, pass } = listening(aheadMs)
    load({ arrivedTotal: 7 })
    pass(2_000)
    demand(3)
    expect(row()).toMatchObject({ held: [3, 0], busy: [G] })
    pass(300)
    // The bus brings the gate's word from before that.
    load({ arrivedTotal: 7 }, { lateMs: 400 })
    expect(row()).toMatchObject({ held: [3, 0], busy: [G] })
    pass(300)
    load({ inside: 3, arrivedTotal: 10 })
    expect(row()).toMatchObject({ came: [3, 0], held: [0, 0], inside: [3, 0] })
  })
})

describe('a rest', () => {
  /** Read each second. */
  const watch = ({ row, pass }: ReturnType<typeof listening>, seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      pass(1_000)
      expect(row().restMs).toBeUndefined()
    }
  }

  it('is as long as nothing was told, and told once, with what ends it', () => {
    const gate = listening()
    gate.load({ inside: 1, arrivedTotal: 1 })
    gate.row()
    gate.load({ arrivedTotal: 1 })
    watch(gate, 600)
    gate.demand(1)
    expect(gate.row()).toMatchObject({ held: [1, 0], restMs: 600_000 })
    gate.pass(1_000)
    expect(gate.row().restMs).toBeUndefined()
  })

  it('is known to who followed as well, from when requests were over', () => {
    const gate = listening()
    gate.load({ inside: 1, arrivedTotal: 1 })
    gate.pass(40_000)
    gate.load({ arrivedTotal: 1 })
    gate.pass(300_000)
    gate.row()
    gate.pass(1_000)
    gate.load({ held: 1, arrivedTotal: 2 })
    expect(gate.row().restMs).toBe(300_000)
  })

  it('is not what nobody looked at, nor what a gate was silent in', () => {
    const gate = listening()
    watch(gate, 60)
    gate.pass(90_000)
    gate.demand(1)
    expect(gate.row().restMs).toBeUndefined()
    // The gate is gone with it, and forgotten after ten minutes.
    watch(gate, 605)
    gate.demand(1)
    const { restMs = 0 } = gate.row()
    expect(restMs).toBeLessThan(10_000)
  })
})
