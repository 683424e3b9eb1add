import { beforeEach, describe, expect, it } from 'vitest'
import { batch, DAY_0, request, Stage, wish } from '../testing/stage.ts'
import { slaDecider } from './decider.ts'
import { DAY_MS, FORGET_MS, MAX_OBJECTIVES, type ObjectiveWish } from './model.ts'
import { missingOf } from './sources.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

let stage: Stage
let seq = 0
beforeEach(() => {
  stage = new Stage()
  seq = 0
})

const next = (): number => {
  seq += 1
  return seq
}

const create = (more: Partial<ObjectiveWish>) =>
  ({ type: 'CreateObjective', caller: '', wish: wish(more) }) as const

/** Sends `good` and `bad` requests that end now, and lets a second pass. */
function serve(seq: number, good: number, bad: number, more: Parameters<typeof batch>[2] = {}) {
  const { atMs } = stage
  const requests = [
    ...Array.from({ length: good }, () => request(atMs)),
    ...Array.from({ length: bad }, () => request(atMs, { outcome: 'failed' as const })),
  ]
  const batches = [batch(seq, atMs, { requests, ...more })]
  stage.tell({ type: 'CountBatches', batches })
  stage.pass(1_000)
}

const budget = (id: string) => {
  const [ledger] = stage.of(id).ledgers.values()
  const [open] = ledger?.open.values() ?? []
  return open?.counts
}

describe('an objective', () => {
  it('is refused when an alert can never fire, with the numbers and the mend', () => {
    const tooLow = stage.refused(create({ targetPpm: 900_000 }))
    expect(tooLow).toMatchObject({
      reason: 'ALERT_CANNOT_FIRE',
      details: { why: 'TARGET_TOO_LOW', rule: 0, burnMilli: 14_400, highest: 10_000 },
    })
    // What it names as the mend mends it.
    const { minTargetPpm, maxBudgetPpm } = tooLow.details as Record<string, number>
    stage.create({ targetPpm: minTargetPpm ?? 0, name: 'a' })
    const rule = {
      severity: 'page' as const,
      budgetPpm: maxBudgetPpm ?? 0,
      longMs: 5_000,
      shortMs: 0,
    }
    stage.create({ targetPpm: 900_000, name: 'b', rules: [rule] })
    const more = { ...rule, budgetPpm: (maxBudgetPpm ?? 0) + 1 }
    expect(stage.refused(create({ targetPpm: 900_000, name: 'c', rules: [more] })).reason).toBe(
      'ALERT_CANNOT_FIRE',
    )
  })

  it('is refused when its windows are too short for its sample', () => {
    const month = { windowMs: 30 * DAY_MS, expectedPerHour: 10, targetPpm: 999_000 }
    const refused = stage.refused(create({ ...month, minSample: 50 }))
    expect(refused).toMatchObject({
      reason: 'ALERT_CANNOT_FIRE',
      details: { why: 'WINDOW_TOO_SHORT', rule: 0, minRatePerHour: 50, minLongMs: 5 * HOUR_MS },
    })
    stage.create({ ...month, minSample: 10 })
  })

  it('is refused when an alert would come below its budget, or by chance', () => {
    const rule = { severity: 'page' as const, budgetPpm: 1_000, longMs: HOUR_MS, shortMs: 0 }
    expect(stage.refused(create({ rules: [rule] })).details).toMatchObject({ why: 'BELOW_BUDGET' })
    const chance = { ...rule, budgetPpm: 11_200, longMs: 40_000 }
    expect(stage.refused(create({ rules: [chance] })).details).toMatchObject({ why: 'LIKE_CHANCE' })
    stage.create({ rules: [{ ...chance, severity: 'ticket' }] })
  })

  it.each<[Partial<ObjectiveWish>, string]>([
    [{ name: 'No Name' }, 'name'],
    [{ targetPpm: 1_000_000 }, 'targetPpm'],
    [{ targetPpm: 499_999 }, 'targetPpm'],
    [{ windowMs: 3_600_001 }, 'windowMs'],
    [{ windowMs: 91 * DAY_MS }, 'windowMs'],
    [{ thresholdUs: 0 }, 'thresholdUs'],
    [{ indicator: 'availability' }, 'thresholdUs'],
    [{ indicator: 'queue_wait', class: 'interactive' }, 'class'],
    [{ queue: 'q' }, 'queue'],
    [{ minSample: 0 }, 'minSample'],
    [{ maintenance: [{ fromMs: 5, untilMs: 10, reason: '' }] }, 'maintenance.fromMs'],
    [{ maintenance: [{ fromMs: 9e15, untilMs: 5, reason: '' }] }, 'maintenance.untilMs'],
    [{ actions: [{ action: 'shed', severity: 'page', afterMs: 0, class: '' }] }, 'actions.class'],
    [{ rules: [{ severity: 'page', budgetPpm: 0, longMs: 5_000, shortMs: 0 }] }, 'rules.budgetPpm'],
    [
      { rules: [{ severity: 'page', budgetPpm: 9, longMs: 5e9, shortMs: 0 }] },
      'rules.longWindowMs',
    ],
    [{ thresholdUs: Number.NaN }, 'thresholdUs'],
  ])('is refused when it is not valid: %j', (more, field) => {
    expect(stage.refused(create(more))).toMatchObject({
      reason: 'INVALID_OBJECTIVE',
      details: { field },
    })
  })

  it('keeps its promise: only how it is watched changes', () => {
    const id = stage.create()
    const update = (more: Partial<ObjectiveWish>, version = 1) =>
      ({ type: 'UpdateObjective', caller: '', objectiveId: id, version, wish: wish(more) }) as const
    for (const more of [{ targetPpm: 995_000 }, { thresholdUs: 1 }, { windowMs: 2 * HOUR_MS }]) {
      expect(stage.refused(update(more)).reason).toBe('OBJECTIVE_PROMISE_FIXED')
    }
    stage.tell(update({ minSample: 20 }))
    expect(stage.refused(update({}, 1))).toMatchObject({ reason: 'OBJECTIVE_CHANGED' })
    expect(stage.of(id).objective).toMatchObject({ version: 2, minSample: 20 })
    expect(stage.refused({ ...update({}, 2), caller: 'team-b' }).reason).toBe('OBJECTIVE_NOT_FOUND')
  })

  it('no more than the cell holds, and one of a name', () => {
    for (let n = 0; n < MAX_OBJECTIVES; n += 1) stage.create({ name: `o-${n}` })
    expect(stage.refused(create({ name: 'o-3' })).reason).toBe('OBJECTIVE_EXISTS')
    expect(stage.refused(create({ name: 'one-more' })).reason).toBe('TOO_MANY_OBJECTIVES')
  })
})

describe('requests', () => {
  it('are good, bad, excluded or unknown', () => {
    const fromMs = stage.atMs + HOUR_MS
    const maintenance = [{ fromMs, untilMs: fromMs + HOUR_MS, reason: 'disks' }]
    const id = stage.create({
      indicator: 'ttft',
      class: 'interactive',
      service: 'chat',
      maintenance,
    })
    stage.tell({ type: 'NameService', jobId: 'j-0-1', name: 'chat' })
    const { atMs } = stage
    const { ttftUs: _, ...unmeasured } = request(atMs)
    const requests = [
      request(atMs, { ttftUs: 200_000 }),
      request(atMs, { ttftUs: 200_001 }),
      request(atMs, { outcome: 'failed' }),
      request(atMs, { outcome: 'deadline' }),
      request(atMs, { outcome: 'shed' }),
      request(atMs, { outcome: 'caller' }),
      request(atMs, { outcome: 'cancelled' }),
      unmeasured,
      request(atMs, { class: 'batch' }),
      request(atMs, { tenant: 'team-b' }),
      request(atMs, { jobId: 'j-0-2' }),
      request(atMs - 1),
    ]
    stage.tell({ type: 'CountBatches', batches: [batch(1, atMs, { requests })] })
    expect(budget(id)).toEqual({ good: 1, bad: 4, excluded: 2, unknown: 1, late: 0 })
    stage.pass(HOUR_MS)
    serve(2, 1, 5)
    expect(budget(id)).toEqual({ good: 1, bad: 4, excluded: 8, unknown: 1, late: 0 })
  })

  it.each([
    ['ttft', { good: 0, bad: 1, excluded: 4 }],
    ['e2e', { good: 0, bad: 2, excluded: 3 }],
    ['tpot', { good: 0, bad: 1, excluded: 4 }],
    ['availability', { good: 0, bad: 0, excluded: 5 }],
  ] as const)(
    'given up by their callers count for %s if they were late by then',
    (indicator, counts) => {
      const id = stage.create({
        indicator,
        thresholdUs: indicator === 'availability' ? 0 : 200_000,
      })
      const { atMs } = stage
      const cancelled = { outcome: 'cancelled' } as const
      const { ttftUs: _, tpotUs: __, ...silent } = request(atMs, cancelled)
      const requests = [
        { ...silent, e2eUs: 200_001 },
        { ...silent, e2eUs: 200_000 },
        request(atMs, { ...cancelled, ttftUs: 200_000, e2eUs: 200_001 }),
        request(atMs, { ...cancelled, tpotUs: 200_001, e2eUs: 199_000 }),
        { ...silent, outcome: 'caller' as const, e2eUs: 200_001 },
      ]
      stage.tell({ type: 'CountBatches', batches: [batch(1, atMs, { requests })] })
      expect(budget(id)).toMatchObject(counts)
    },
  )

  it('that a service could not answer because it ended count under its name', () => {
    const id = stage.create({ service: 'chat' })
    stage.tell({ type: 'NameService', jobId: 'j-0-1', name: 'chat' })
    stage.tell({ type: 'ForgetService', jobId: 'j-0-1' })
    const failed = () => [request(stage.atMs, { outcome: 'failed' })]
    stage.pass(1_250)
    stage.tell({ type: 'CountBatches', batches: [batch(1, stage.atMs, { requests: failed() })] })
    expect(budget(id)).toMatchObject({ bad: 1 })
    stage.pass(60_000)
    expect(stage.state.names.size).toBe(0)
  })

  it('are counted once, however often and late their batches come', () => {
    const id = stage.create()
    const one = batch(1, stage.atMs, { requests: [request(stage.atMs)] })
    const three = batch(3, stage.atMs, { requests: [request(stage.atMs), request(stage.atMs)] })
    const two = batch(2, stage.atMs, { requests: [request(stage.atMs, { outcome: 'failed' })] })
    stage.tell({ type: 'CountBatches', batches: [one, one, three] })
    stage.tell({ type: 'CountBatches', batches: [one, three] })
    expect(budget(id)).toMatchObject({ good: 3, bad: 0 })
    expect(missingOf(stage.state.sources.get('gateway/r1')!)).toBe(1)
    stage.tell({ type: 'CountBatches', batches: [two, two] })
    stage.tell({ type: 'CountBatches', batches: [two] })
    expect(budget(id)).toMatchObject({ good: 3, bad: 1 })
    expect(stage.told('OutcomesCounted').map(({ batches }) => batches)).toEqual([
      [
        ['gateway/r1', 'b1', 1, 1],
        ['gateway/r1', 'b1', 3, 3],
      ],
      [['gateway/r1', 'b1', 2, 2]],
    ])
    // Another boot counts from 1 again.
    stage.tell({ type: 'CountBatches', batches: [{ ...one, bootId: 'b2' }] })
    expect(budget(id)).toMatchObject({ good: 4, bad: 1 })
  })

  it('go to their interval for a minute; then they are late, ahead of time refused', () => {
    const id = stage.create()
    const endedMs = stage.atMs
    stage.pass(59_000)
    serve(1, 0, 0, { requests: [request(endedMs), request(stage.atMs + 6_000)] })
    expect(budget(id)).toMatchObject({ good: 1, late: 0 })
    stage.pass(10_000)
    serve(2, 0, 0, { requests: [request(endedMs)] })
    expect(budget(id)).toMatchObject({ good: 1, late: 1 })
    expect(stage.state.sources.get('gateway/r1')).toMatchObject({ late: 1, future: 1 })
    // It did not move the windows ahead.
    expect(stage.of(id).budget.head).toBe(Math.floor(endedMs / 5_000))
  })

  it('tells which batches are lost', () => {
    stage.create()
    stage.pass(2 * MINUTE_MS)
    serve(1, 1, 0)
    serve(5, 1, 0)
    expect(stage.told('OutcomesCounted').at(-1)?.lostTotal).toBe(3)
    serve(2_000, 1, 0)
    const [source] = stage.state.sources.values()
    expect(source?.lost).toBe(2_000 - 1_024 - 3)
    expect(missingOf(source!)).toBe(1_024)
    // Given up is given up.
    serve(4, 1, 0)
    expect(stage.told('OutcomesCounted')).toHaveLength(3)
    // A boot that begins while everybody listens begins at 1.
    serve(3, 1, 0, { bootId: 'b2' })
    expect(stage.told('OutcomesCounted').at(-1)?.lostTotal).toBe(1_994 + 3 + 2 - 0)
  })

  it('of a gateway that had nothing to say are not lost', () => {
    const lost = () => stage.told('OutcomesCounted').at(-1)?.lostTotal
    stage.create()
    stage.pass(HOUR_MS)
    // It was there for long when the counting began, and idle ever since.
    serve(500, 1, 0)
    expect(lost()).toBe(0)
    // What it says from now on is awaited, also of its next boot.
    serve(503, 1, 0)
    expect(lost()).toBe(2)
    serve(3, 1, 0, { bootId: 'b2' })
    expect(lost()).toBe(4)
    // Of a boot before these nobody knows what came when.
    serve(499, 1, 0, { bootId: 'b0', sentMs: stage.atMs - HOUR_MS })
    expect(lost()).toBe(4)
    // That it is idle was lost on the way: it is forgotten, and not all it ever sent with it.
    serve(4, 1, 0, { bootId: 'b2', busy: true })
    stage.pass(FORGET_MS)
    expect(stage.state.sources.size).toBe(0)
    serve(6, 1, 0, { bootId: 'b2' })
    expect(lost()).toBe(4)
  })

  it('of an earlier time do not count for a later promise', () => {
    const endedMs = stage.atMs
    stage.pass(1_000)
    const id = stage.create()
    serve(900, 0, 0, { requests: [request(endedMs), request(stage.atMs)] })
    expect(budget(id)).toMatchObject({ good: 1, late: 0 })
    // A source that was there before has lost nothing.
    expect(stage.told('OutcomesCounted').at(-1)?.lostTotal).toBe(0)
  })

  it('keep the ledgers of a thousand tenants apart, and the rest together', () => {
    const id = stage.create({ tenant: '' })
    const requests = Array.from({ length: 1_100 }, (_, n) =>
      request(stage.atMs, { tenant: `t-${n}` }),
    )
    stage.tell({ type: 'CountBatches', batches: [batch(1, stage.atMs, { requests })] })
    const { ledgers } = stage.of(id)
    expect(ledgers.size).toBe(1_001)
    expect([...(ledgers.get('*')?.open.values() ?? [])][0]?.counts.good).toBe(100)
  })
})

describe('alerts', () => {
  const actions = [
    { action: 'scale', severity: 'page', afterMs: 0, class: '' },
    { action: 'shed', severity: 'page', afterMs: 30_000, class: 'batch' },
    { action: 'credit', severity: 'ticket', afterMs: 0, class: '' },
  ] as const

  it('begin, ask for their actions, and end', () => {
    const id = stage.create({ actions })
    for (let n = 0; n < 60; n += 1) serve(next(), 100, 0)
    for (let n = 0; n < 45; n += 1) serve(next(), 0, 100)
    const opened = stage.told('BreachOpened')
    expect(opened.map(({ rule }) => rule).sort()).toEqual([0, 1, 2, 3])
    const [first] = opened
    expect(first?.breach).toMatchObject({ short: { bad: expect.any(Number) } })
    expect(first!.breach.short.bad).toBeGreaterThan(0)
    expect(first!.breach.lastCount).toBeGreaterThanOrEqual(first!.breach.firstCount)
    // Scale and credit at once, shedding after half a minute; each once.
    expect(
      stage
        .told('ActionRequested')
        .map(({ action }) => action.step)
        .sort(),
    ).toEqual([0, 1, 2])
    for (let n = 0; n < 600; n += 1) serve(next(), 100, 0)
    stage.pass(HOUR_MS)
    expect(stage.of(id).breaches.size).toBe(0)
    expect(stage.told('BreachClosed').every(({ cause }) => cause === 'CALM')).toBe(true)
    expect(stage.of(id).actions.size).toBe(0)
    expect(stage.told('ActionWithdrawn')).toHaveLength(3)
    // Once all is calm nothing is looked at any more.
    expect([...stage.timers.keys()].filter((key) => !key.startsWith('day'))).toEqual([])
  })

  it('do not come from fewer events than is said', () => {
    const id = stage.create({ minSample: 10, windowMs: 30 * DAY_MS, targetPpm: 999_000 })
    const [rule] = stage.of(id).objective.rules
    expect(rule).toMatchObject({ minBad: 5, minRatePerHour: 10 })
    // One error in ten requests burns a hundred times: nobody is woken.
    for (let n = 1; n <= 10; n += 1) {
      serve(n, n === 5 ? 0 : 1, n === 5 ? 1 : 0)
      stage.pass(5 * MINUTE_MS)
    }
    expect(stage.told('BreachOpened')).toEqual([])
    for (let n = 11; n <= 20; n += 1) {
      serve(n, 0, 1)
      stage.pass(MINUTE_MS)
    }
    expect(stage.told('BreachOpened').map(({ breach }) => breach.rule.severity)).toContain('page')
  })

  it('lasts while a source is silent that held requests, and ends when it is forgotten', () => {
    const id = stage.create({
      rules: [{ severity: 'page', budgetPpm: 100_000, longMs: 60_000, shortMs: 0 }],
    })
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100, { busy: true })
    expect(stage.of(id).breaches.size).toBe(1)
    stage.pass(2 * MINUTE_MS)
    expect(stage.told('SourceJudged').map(({ health }) => health)).toEqual(['SILENT'])
    expect(stage.of(id).breaches.size).toBe(1)
    // It comes back and is calm.
    serve(next(), 100, 0, { busy: false })
    stage.pass(MINUTE_MS)
    expect(stage.told('SourceJudged').map(({ health }) => health)).toEqual(['SILENT', 'OK'])
    expect(stage.of(id).breaches.size).toBe(0)
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100, { busy: true })
    expect(stage.of(id).breaches.size).toBe(1)
    stage.pass(FORGET_MS + 2 * MINUTE_MS)
    expect(stage.told('SourceForgotten')).toHaveLength(1)
    expect(stage.of(id).breaches.size).toBe(0)
    expect(stage.timers.has('evaluate')).toBe(false)
  })

  it('lasts while samples stand still, or the clock of their source is wrong', () => {
    const id = stage.create({
      rules: [{ severity: 'page', budgetPpm: 100_000, longMs: 60_000, shortMs: 0 }],
    })
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100)
    expect(stage.of(id).breaches.size).toBe(1)
    const frozenMs = stage.atMs
    for (let n = 0; n < 90; n += 1) {
      serve(next(), 0, 0, { newestMs: frozenMs - 1_000, requests: [request(frozenMs - 1_000)] })
    }
    expect(stage.state.sources.get('gateway/r1')?.health).toBe('FROZEN')
    expect(stage.of(id).breaches.size).toBe(1)
    for (let n = 0; n < 30; n += 1) serve(next(), 0, 0, { sentMs: stage.atMs - HOUR_MS })
    expect(stage.state.sources.get('gateway/r1')).toMatchObject({
      health: 'SKEWED',
      offsetMs: HOUR_MS,
    })
    expect(stage.of(id).breaches.size).toBe(1)
    for (let n = 0; n < 30; n += 1) serve(next(), 10, 0)
    expect(stage.of(id).breaches.size).toBe(0)
  })

  it('is not ended by a clock that jumps: windows that nobody filled say nothing', () => {
    const id = stage.create({
      rules: [{ severity: 'page', budgetPpm: 100_000, longMs: 60_000, shortMs: 0 }],
    })
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100)
    expect(stage.of(id).breaches.size).toBe(1)
    // The clock of the log jumps by a day, that of the gateway does not.
    const clockMs = stage.atMs
    stage.jump(DAY_MS)
    expect(stage.of(id).breaches.size).toBe(1)
    for (let n = 0; n < 100; n += 1) {
      const atMs = clockMs + n * 1_000
      serve(next(), 0, 0, { sentMs: atMs, newestMs: atMs, requests: [request(atMs)] })
    }
    expect(stage.state.sources.get('gateway/r1')?.health).toBe('SKEWED')
    expect(stage.of(id).breaches.size).toBe(1)
    expect(stage.told('EvaluationResumed').length).toBeGreaterThan(0)
    // Late data are counted as late, never as good or bad.
    expect(stage.of(id).aside.late).toBe(100)
    // The day before it was closed by its own numbers.
    expect(stage.told('StatementClosed')[0]?.statement.counts).toMatchObject({
      good: 0,
      bad: 2_000,
    })
  })

  it('ends with its rules and its objective', () => {
    const id = stage.create({ actions })
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100)
    expect(stage.of(id).breaches.size).toBeGreaterThan(0)
    const changed = { ...wish({ actions }), minSample: 30 }
    stage.tell({ type: 'UpdateObjective', caller: '', objectiveId: id, version: 1, wish: changed })
    expect(stage.of(id).breaches.size).toBe(0)
    expect(stage.told('BreachClosed')[0]?.cause).toBe('RULE_CHANGED')
    for (let n = 0; n < 20; n += 1) serve(next(), 0, 100)
    expect(stage.of(id).breaches.size).toBeGreaterThan(0)
    stage.tell({ type: 'DeleteObjective', caller: '', objectiveId: id })
    expect(stage.told('BreachClosed').at(-1)?.cause).toBe('OBJECTIVE_DELETED')
    expect(stage.told('ActionWithdrawn').length).toBe(stage.told('ActionRequested').length)
    expect(stage.told('StatementClosed')).toHaveLength(1)
    expect(stage.state.intakeSinceMs).toBe(0)
    stage.pass(2 * DAY_MS)
  })
})

describe('ledgers', () => {
  it('close each day with a statement that stands on the one before', () => {
    stage = new Stage(DAY_0 + DAY_MS - 30_000)
    const id = stage.create()
    serve(1, 5, 1)
    stage.pass(35_000)
    const endedMs = DAY_0 + DAY_MS - 10_000
    // Still in time, for the day before.
    serve(2, 0, 0, { requests: [request(endedMs)] })
    expect(stage.of(id).ledgers.get('team-a')?.open.size).toBe(1)
    serve(3, 7, 0)
    expect(stage.of(id).ledgers.get('team-a')?.open.size).toBe(2)
    stage.pass(2 * DAY_MS)
    const statements = stage.told('StatementClosed').map(({ statement }) => statement)
    expect(
      statements.map(({ number, dayMs, counts }) => [number, dayMs, counts.good, counts.bad]),
    ).toEqual([
      [1, DAY_0, 6, 1],
      [2, DAY_0 + DAY_MS, 7, 0],
    ])
    expect(statements[0]?.previousHash).toBe('0'.repeat(64))
    expect(statements[1]?.previousHash).toBe(statements[0]?.hash)
    expect(stage.of(id).ledgers.get('team-a')?.open.size).toBe(0)
  })
})

describe('jobs', () => {
  const queued = new Map<string, number>()
  beforeEach(() => queued.clear())
  const job = (state: string, more: { jobId?: string; code?: string; serves?: boolean } = {}) => {
    const { jobId = 'j-0-9', code = '', serves = false } = more
    const { atMs } = stage
    if (!queued.has(jobId)) queued.set(jobId, atMs)
    const about = { tenant: 'team-a', queue: 'train', name: 'digits', serves, state, code, atMs }
    const noted = { jobId, ...about, queuedMs: queued.get(jobId) ?? 0 }
    return { type: 'NoteJob', job: noted } as const
  }
  const waits: Partial<ObjectiveWish> = {
    indicator: 'queue_wait',
    thresholdUs: 60_000_000,
    queue: 'train',
  }

  it('that serve have no end to be in time, but a start', () => {
    const done = stage.create({ ...waits, indicator: 'finish_by', thresholdUs: 3_600_000_000 })
    const started = stage.create({ ...waits, name: 'starts' })
    stage.tell(job('Queued', { serves: true }))
    stage.pass(30_000)
    stage.tell(job('Running', { serves: true }))
    stage.pass(2 * HOUR_MS)
    expect(budget(started)).toMatchObject({ good: 1, bad: 0 })
    expect(stage.of(done).ledgers.size).toBe(0)
  })

  it('that start in time are good, later ones bad at their deadline, cancelled neither', () => {
    const id = stage.create(waits)
    stage.tell(job('Queued'))
    stage.pass(59_000)
    stage.tell(job('Starting'))
    expect(budget(id)).toMatchObject({ good: 1, bad: 0 })
    stage.tell(job('Queued', { jobId: 'late' }))
    const dueMs = stage.atMs + MINUTE_MS
    stage.pass(MINUTE_MS + 30_000)
    expect(budget(id)).toMatchObject({ good: 1, bad: 1 })
    expect(stage.told('JobOutcomesCounted').at(-1)?.rows[0]?.[2]).toBe(
      Math.floor(dueMs / 5_000) * 5_000,
    )
    // Waiting on, it is not submitted anew, and not judged twice.
    stage.tell(job('Queued', { jobId: 'late' }))
    stage.tell(job('Running', { jobId: 'late' }))
    stage.tell(job('Queued', { jobId: 'gone' }))
    stage.tell(job('Cancelled', { jobId: 'gone' }))
    expect(budget(id)).toEqual({ good: 1, bad: 1, excluded: 1, unknown: 0, late: 0 })
    stage.tell(job('Succeeded', { jobId: 'late' }))
    stage.tell(job('Succeeded'))
    expect(stage.state.jobs.size).toBe(0)
    // One whose beginning was not seen is not judged, nor one from before the promise.
    stage.tell(job('Running', { jobId: 'unseen' }))
    queued.set('early', stage.of(id).objective.createdMs - 1)
    stage.tell(job('Queued', { jobId: 'early' }))
    expect(stage.state.jobs.size).toBe(0)
  })

  it('finish in time, or fail by their own fault or ours', () => {
    const id = stage.create({ indicator: 'finish_by', thresholdUs: 600_000_000 })
    for (const jobId of ['a', 'b', 'c', 'd']) stage.tell(job('Queued', { jobId }))
    stage.pass(MINUTE_MS)
    stage.tell(job('Running', { jobId: 'a' }))
    stage.tell(job('Succeeded', { jobId: 'a' }))
    stage.tell(job('Failed', { jobId: 'b', code: 'USER_ERROR' }))
    stage.tell(job('Failed', { jobId: 'c', code: 'RETRY_BUDGET_SPENT' }))
    expect(budget(id)).toEqual({ good: 1, bad: 1, excluded: 1, unknown: 0, late: 0 })
    stage.pass(HOUR_MS)
    expect(budget(id)).toEqual({ good: 1, bad: 2, excluded: 1, unknown: 0, late: 0 })
  })

  it('are not judged by a deadline that passed while nobody listened', () => {
    const id = stage.create(waits)
    stage.tell(job('Queued'))
    const startedMs = stage.atMs + 10_000
    stage.jump(HOUR_MS)
    expect(stage.told('JobOverdue')).toHaveLength(1)
    // The scheduler's word of that time comes right after.
    stage.pass(1_000)
    const { job: noted } = job('Running')
    stage.tell({ type: 'NoteJob', job: { ...noted, atMs: startedMs } })
    expect(budget(id)).toMatchObject({ good: 1, bad: 0 })
  })

  it('after a gap: what may have happened in time is unknown', () => {
    const id = stage.create(waits)
    for (const jobId of ['placed', 'waits', 'late', 'gone']) stage.tell(job('Queued', { jobId }))
    stage.pass(MINUTE_MS + 2_000)
    const at = (jobId: string, state: string, atMs: number) => {
      const noted = job(state, { jobId })
      return { ...noted, job: { ...noted.job, atMs } }
    }
    const commands = [
      at('placed', 'Running', stage.atMs - 30_000),
      at('waits', 'Queued', stage.atMs),
      at('late', 'Running', stage.atMs),
      at('new', 'Queued', stage.atMs),
    ]
    stage.tell({ type: 'ReplaceSource', source: 'scheduler', commands })
    expect(budget(id)).toEqual({ good: 1, bad: 1, excluded: 0, unknown: 2, late: 0 })
    expect([...stage.state.jobs.keys()].sort()).toEqual(['late', 'new', 'placed', 'waits'])
  })

  it('that a service is called by are forgotten with it', () => {
    stage.tell({ type: 'NameService', jobId: 'j-0-1', name: 'chat' })
    stage.tell({ type: 'NameService', jobId: 'j-0-2', name: 'other' })
    const commands = [{ type: 'NameService', jobId: 'j-0-2', name: 'other' }] as const
    stage.tell({ type: 'ReplaceSource', source: 'mediator', commands })
    stage.pass(60_000)
    expect([...stage.state.names]).toEqual([['j-0-2', 'other']])
  })
})

it('comes back from a snapshot as it was', () => {
  const actions = [{ action: 'scale', severity: 'page', afterMs: 0, class: '' }] as const
  stage.create({ actions })
  for (let n = 1; n < 40; n += 1) serve(n + (n > 20 ? 3 : 0), 10, 40, { busy: n % 2 === 0 })
  stage.pass(DAY_MS)
  const json = slaDecider.toJson(stage.state)
  const again = slaDecider.fromJson(JSON.parse(JSON.stringify(json)))
  expect(JSON.stringify(slaDecider.toJson(again))).toBe(JSON.stringify(json))
})
