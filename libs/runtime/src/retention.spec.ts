import { type EventLog, eventsTopic, type LogRecord, logTopic } from '@serverless-ai/eventlog'
import type { Json } from '@serverless-ai/kernel'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RuntimeOptions } from './context.ts'
import { Framework } from './framework.ts'
import { Partition } from './partition.ts'
import { keptMilestones, type Milestone, trimPlan } from './retention.ts'
import { add, bank } from './testing/bank.ts'
import { withLog } from './testing/with-log.ts'
import { type Bank, type BankDefinition, type Process, World } from './testing/world.ts'

const DAY_MS = 86_400_000
const retentionMs = 14 * DAY_MS
const options = { retentionMs }
/** Idle reads that wait for days: months of silence cost nothing. */
const patient = (inner: EventLog): Partial<EventLog> => ({
  fetch: (address, want) => inner.fetch(address, { ...want, waitMs: want.waitMs && DAY_MS }),
})
const source = bank({ name: 'source' })
const sink = bank({ name: 'sink', other: 'source' })
const log = { topic: logTopic('source'), partition: 0 }
const events = { topic: eventsTopic('source'), partition: 0 }

const milestone = (position: number, atMs: number, eventsOffset = -1): Milestone => {
  return { name: `s${position}`, position, atMs, eventsOffset }
}

describe('milestones', () => {
  const histories = fc.record({
    gapsMs: fc.array(fc.integer({ min: 0, max: 3 * DAY_MS }), { minLength: 1, maxLength: 60 }),
    retentionMs: fc.constantFrom(1, DAY_MS, 14 * DAY_MS, 100 * DAY_MS),
  })

  it('are few, cover all that is younger than the retention, and hardly more', () => {
    const check = ({ gapsMs, retentionMs }: { gapsMs: number[]; retentionMs: number }): void => {
      let kept: readonly Milestone[] = []
      let nowMs = 0
      const all: Milestone[] = []
      for (const [position, gapMs] of gapsMs.entries()) {
        nowMs += gapMs
        all.push(milestone(position, nowMs))
        kept = keptMilestones([...kept, milestone(position, nowMs)], { retentionMs, nowMs })
        expect(kept.length).toBeLessThanOrEqual(17)
        expect(kept.slice(-2)).toEqual(all.slice(-2))
        const cutMs = nowMs - retentionMs
        const old = all.filter(({ atMs }) => atMs <= cutMs)
        // What was older once is older for ever: there is a milestone to cut at.
        if (old.length > 0) expect(kept[0]!.atMs).toBeLessThanOrEqual(cutMs)
        else expect(kept[0]).toEqual(all[0])
        // One of them only: the log is cut at the newest that may be.
        expect(kept.filter(({ atMs }) => atMs <= cutMs).length).toBeLessThanOrEqual(1)
      }
    }
    fc.assert(fc.property(histories, check))
  })

  it('of a past that is kept for ever are the first and the two newest', () => {
    let kept: readonly Milestone[] = []
    for (let i = 0; i < 9; i += 1) {
      const all = [...kept, milestone(i, i * DAY_MS)]
      kept = keptMilestones(all, { retentionMs: 0, nowMs: i * DAY_MS })
    }
    expect(kept.map(({ position }) => position)).toEqual([0, 7, 8])
  })
})

describe('what may be removed', () => {
  const framework = (): Framework => {
    const state = new Framework()
    state.lastAtMs = 100 * DAY_MS
    state.milestones = [
      milestone(10, 80 * DAY_MS, 3),
      milestone(20, 85 * DAY_MS, 6),
      milestone(30, 99 * DAY_MS, 8),
      milestone(40, 100 * DAY_MS, 9),
    ]
    state.verified = [
      { name: 's40', position: 40, digest: '' },
      { name: 's30', position: 30, digest: '' },
    ]
    return state
  }

  it('is what is older than the retention, cut at a snapshot', () => {
    const needs = ['s40', 's30', 's20']
    expect(trimPlan(framework(), retentionMs)).toEqual({ log: 20, events: 6, needs })
    expect(trimPlan(framework(), 16 * DAY_MS)).toMatchObject({ log: 10, events: 3 })
    expect(trimPlan(framework(), 21 * DAY_MS)).toBeUndefined()
    expect(trimPlan(framework(), 0)).toBeUndefined()
  })

  it('is nothing that the second newest snapshot or the publisher needs', () => {
    const state = framework()
    state.lastAtMs += DAY_MS
    expect(trimPlan(state, 1)).toMatchObject({ log: 30, events: 9 })
    const event = { seq: 1, type: 't', key: 'k', tenant: '', payload: new Uint8Array(0), atMs: 0 }
    state.unpublished = [{ ...event, position: 7 }]
    expect(trimPlan(state, retentionMs)).toMatchObject({ log: 7 })
    state.verified = state.verified.slice(0, 1)
    expect(trimPlan(state, retentionMs)).toBeUndefined()
  })

  it('leaves the digests of a log without milestones as they were', () => {
    const state = new Framework()
    expect(Object.keys(state.toJson())).not.toContain('milestones')
    const copy = Framework.fromJson(framework().toJson())
    expect(copy.milestones).toEqual(framework().milestones)
  })
})

/** A log whose removed records are remembered, for a reader that folds everything. */
const remembering = (world: World, gone: LogRecord[]) =>
  withLog((inner) => ({
    trim: async (address, below) => {
      if (address.topic === log.topic) {
        const { start, records } = world.store.partition(address)
        gone.push(...records.slice(0, Math.max(0, below - start)))
      }
      await inner.trim(address, below)
    },
    ...patient(inner),
  }))

interface Past {
  readonly position: number
  readonly atMs: number
  readonly events: number
}

/** A source that lives for days, with three commits on each of them. */
class Days {
  readonly world = new World()
  readonly gone: LogRecord[] = []
  readonly pasts: Past[] = []
  from: Process | undefined
  day = 0

  get runtime(): Bank {
    return this.from!.runtime
  }

  get start(): number {
    return this.world.store.partition(log).start
  }

  boot(definition: BankDefinition = source, more: RuntimeOptions = {}): Promise<Process> {
    const wrap = remembering(this.world, this.gone)
    return this.world.started(definition, { options: { ...options, ...more }, wrap })
  }

  /** Dies and comes back. */
  async reboot(definition?: BankDefinition, more?: RuntimeOptions): Promise<void> {
    this.from!.log.kill()
    this.from = await this.boot(definition, more)
  }

  async pass(days: number): Promise<void> {
    this.from ??= await this.boot()
    for (let i = 0; i < days; i += 1) {
      this.day += 1
      for (const part of ['a', 'b', 'c']) {
        await this.world.run(this.runtime.execute(add(`${part}${this.day}`)))
        this.pasts.push(await this.now())
        await this.world.time.advance(DAY_MS / 3)
      }
      this.nothingYoungIsGone()
    }
  }

  async now(): Promise<Past> {
    const { value } = await this.world.run(
      this.runtime.read((state, { position, atMs }) => ({ position, atMs, events: state.events })),
    )
    return value
  }

  nothingYoungIsGone(): void {
    const { world, start, pasts } = this
    const cutMs = world.time.wallMs() - retentionMs
    for (const { position, atMs } of pasts) {
      if (atMs > cutMs) expect(position).toBeGreaterThanOrEqual(start)
    }
    const kept = world.store.partition(events)
    const oldest = kept.records[0]
    if (kept.start === 0 || oldest === undefined) return
    expect(Date.parse(oldest.headers['ce_time']!)).toBeLessThanOrEqual(cutMs)
  }
}

describe('a log that lives for 40 days', () => {
  it('is as long as its retention; what is kept can be read, the rest is refused', async () => {
    const days = new Days()
    await days.pass(14)
    expect([days.start, days.world.store.partition(events).start]).toEqual([0, 0])
    await days.pass(26)
    const { world, start, pasts } = days
    expect(start).toBeGreaterThan(3 * 20)
    const oldestMs = pasts.find(({ position }) => position >= start)!.atMs
    expect(world.time.wallMs() - oldestMs).toBeLessThan(retentionMs + 4 * DAY_MS)
    const read = (position: number): Promise<number> =>
      world.run(days.runtime.readAt(position, (state) => state.events))
    const kept = pasts.filter(({ position }) => position >= start)
    for (const { position, events } of kept) expect(await read(position)).toBe(events)
    for (const position of [0, start - 1]) {
      const refused = { code: 'OUT_OF_RANGE', reason: 'POSITION_OUT_OF_RANGE' }
      await expect(read(position)).rejects.toMatchObject(refused)
    }
    const { snapshots } = world.environment(days.from!.log, 'reader')
    expect((await snapshots.list(log)).length).toBeLessThanOrEqual(18)
  })

  it('has the state of the whole log after a restart', async () => {
    const days = new Days()
    await days.pass(40)
    const { world, gone, start } = days
    await days.reboot()
    const served = await world.run(days.runtime.digest())
    const whole = new Partition(source, 0)
    expect(gone.length).toBe(start)
    for (const record of [...gone, ...world.store.partition(log).records]) whole.apply(record)
    expect(served).toEqual({ position: whole.effectivePosition, digest: whole.digest() })
    expect((await world.fold(source, { snapshots: true })).digest).toBe(whole.digest())
    await days.pass(3)
    expect(days.start).toBeGreaterThan(start)
  })

  it('is not cut where a snapshot that would replace it is not there any more', async () => {
    const days = new Days()
    await days.pass(13)
    const { snapshots } = days.world.environment(days.from!.log, 'reader')
    const oldest = (await snapshots.list(log)).at(-1)!
    await snapshots.remove(log, oldest.name)
    await days.pass(2)
    expect(days.start).toBe(0)
    await days.pass(4)
    expect(days.start).toBeGreaterThan(0)
  })

  it('is cut by a process that just started too, by its own setting', async () => {
    const days = new Days()
    await days.pass(10)
    expect(days.start).toBe(0)
    await days.reboot(source, { retentionMs: 5 * DAY_MS })
    await days.world.time.advance(100)
    expect(days.start).toBeGreaterThan(3 * 3)
    const [oldest] = days.pasts.filter(({ position }) => position >= days.start)
    const ageMs = days.world.time.wallMs() - oldest!.atMs
    expect(ageMs).toBeGreaterThan(4 * DAY_MS)
    expect(ageMs).toBeLessThan(7 * DAY_MS)
  })

  it('is not cut at a snapshot that the version in use cannot read', async () => {
    const days = new Days()
    await days.pass(13)
    const next = { ...source, schemaVersion: 2 }
    await days.reboot(next)
    await days.pass(4)
    expect(days.start).toBe(0)
    await days.reboot(next)
    await days.pass(14)
    expect(days.start).toBeGreaterThan(0)
  })

  it('that was cut is taken over by a version that reads its snapshots only', async () => {
    const days = new Days()
    await days.pass(20)
    const { events } = await days.now()
    days.from!.log.kill()
    const next = { ...source, schemaVersion: 2 }
    await expect(days.boot(next)).rejects.toThrow(/start the version that wrote them/)
    const upcastState = (version: number, state: Json): Json => {
      expect(version).toBe(1)
      return { ...JSON.parse(JSON.stringify(state)), paid: 7 }
    }
    days.from = await days.boot({ ...next, upcastState })
    const { value } = await days.world.run(days.runtime.read((state) => state))
    expect([value.events, value.paid]).toEqual([events, 7])
    await days.pass(4)
    await days.reboot({ ...next, upcastState })
    expect((await days.now()).events).toBe(events + 12)
  })

  it('is kept whole without a retention', async () => {
    const world = new World()
    const often = { snapshotEveryCommits: 5 }
    const { runtime } = await world.started(source, { options: often, wrap: withLog(patient) })
    for (let day = 0; day < 40; day += 1) {
      await world.run(runtime.execute(add(`k${day}`)))
      await world.time.advance(DAY_MS / 24)
    }
    await world.time.advance(60 * DAY_MS)
    expect(world.store.partition(log).start).toBe(0)
    expect(() => world.process(source, { options: { retentionMs: -1 } })).toThrow(RangeError)
  })
})

describe('a consumer that slept', () => {
  const keys = async (world: World, runtime: Bank): Promise<readonly string[]> =>
    (await world.run(runtime.read((state) => [...state.seen.keys()]))).value

  /** Sleeps for so many days; whether it had to take over the present state. */
  async function slept(sleepDays: number): Promise<boolean> {
    const days = new Days()
    const { world } = days
    await days.pass(1)
    const first = await days.boot(sink)
    await days.pass(19)
    await world.run(first.runtime.stop())
    const mark = world.publishedSeqs('source').length + world.store.partition(events).start
    await days.pass(sleepDays)
    const below = mark < world.store.partition(events).start
    world.ports.logger.lines.length = 0
    const second = await days.boot(sink)
    const { position } = await world.run(days.runtime.execute(add('last')))
    await world.run(second.runtime.read(() => undefined, { minPosition: position }))
    const { value } = await world.run(days.runtime.read((state) => [...state.accounts.keys()]))
    expect(await keys(world, second.runtime)).toEqual(value)
    const folded = await world.fold(sink, { snapshots: true })
    expect(folded.digest).toBe((await world.run(second.runtime.digest())).digest)
    const mended = world.ports.logger.lines.some(({ message }) => /taken over/.test(message))
    expect(mended).toBe(below)
    return mended
  }

  it('for 20 days takes over the present state', async () => {
    expect(await slept(20)).toBe(true)
  })

  it('for ten days goes on where it was', async () => {
    expect(await slept(10)).toBe(false)
  })
})
