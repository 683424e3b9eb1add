import { describe, expect, it } from 'vitest'
import { held, quiet, Stage, scale, settings } from '../testing/stage.ts'
import { whyBlocked } from './control.ts'
import type { Signals } from './messages.ts'
import { rowsToStep } from './step.ts'

const S = 'j-0-s'
const T = 'j-0-t'

const cell = (devices = 4): Stage => new Stage().node('n1', devices).queue()

/** Requests that come each second, and those that ended as fast. */
const busy = (jobId: string, perS: number, more: Partial<Signals> = {}): Signals => ({
  jobId,
  came: [perS, 100],
  held: [0, 100],
  inside: [Math.ceil(perS / 10), 100],
  ended: { finished: perS, outputTokens: 0, missed: [0], serviceUs: perS * 100_000, ageMs: 100 },
  busy: ['gateway/r1'],
  ...more,
})

/** A replica is placed and becomes ready. */
function comesUp(stage: Stage, jobId: string, tookMs = 800): void {
  const gang = stage.of(jobId).scale?.version ?? 0
  stage.holds(jobId, 1, 'n1', gang)
  stage.atMs += tookMs
  const now = stage.of(jobId).scale
  stage.job(jobId, scale({ ...now, granted: now?.wanted ?? 0, ready: now?.wanted ?? 0 }))
}

describe('a service from zero and back', () => {
  it('gets a replica for the first held request, and none any more after its idle time', () => {
    const stage = cell().service(S)
    expect(stage.step(held(S, 3))).toMatchObject([
      { outcome: 'APPLIED', from: 0, wanted: 1, policy: 'predictive', scaleVersion: 1 },
    ])
    expect([...stage.asked.values()]).toMatchObject([{ wanted: 1, expectedVersion: 1 }])
    stage.grant(S)
    comesUp(stage, S)
    expect(stage.step(busy(S, 3))).toEqual([])
    for (let second = 1; second < 10; second += 1) expect(stage.step(quiet(S))).toEqual([])
    expect(stage.step(quiet(S))).toMatchObject([{ outcome: 'APPLIED', from: 1, wanted: 0 }])
    stage.grant(S)
    const { run } = stage.of(S)
    expect(run?.policy === 'predictive' && run.state.startupsMs).toEqual([800])
  })

  it('is not asked for twice while the scheduler has not answered', () => {
    const stage = cell().service(S)
    stage.step(held(S, 3))
    expect(stage.step(held(S, 8))).toEqual([])
    expect(stage.asked.size).toBe(1)
  })

  it('calls for no step while there is nothing to do', () => {
    const stage = cell().service(S)
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toBeUndefined()
    expect(rowsToStep(stage.state, [held(S, 1)], stage.atMs)).toHaveLength(1)
    stage.job(S, scale({ wanted: 1, granted: 1, ready: 1 }))
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toHaveLength(1)
    stage.tell({ type: 'SetMode', jobId: S, mode: 'off' })
    expect(rowsToStep(stage.state, [held(S, 1)], stage.atMs)).toBeUndefined()
  })

  it('rests at its minimum when it was quiet for long enough', () => {
    const stage = cell().service(S, { min: 1, wanted: 1, granted: 1, ready: 1 })
    stage.step(busy(S, 5))
    let steps = 0
    while (rowsToStep(stage.state, [quiet(S)], stage.atMs) !== undefined && steps < 100) {
      stage.step(quiet(S))
      steps += 1
    }
    expect(steps).toBe(60)
  })
})

describe('a rest', () => {
  /** A burst, then nothing until it is at zero. */
  function rested(): Stage {
    const stage = cell(8).service(S)
    stage.step(held(S, 3))
    stage.grant(S)
    comesUp(stage, S)
    for (let second = 0; second < 60; second += 1) {
      if (stage.step(busy(S, 25)).some(({ outcome }) => outcome === 'APPLIED')) {
        stage.grant(S)
        comesUp(stage, S)
      }
    }
    expect(stage.of(S).scale?.wanted).toBe(4)
    while (stage.of(S).scale?.wanted !== 0) {
      if (stage.step(quiet(S)).length > 0) stage.grant(S)
    }
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toBeUndefined()
    return stage
  }
  const one: Signals = { ...quiet(S), came: [1, 0], held: [1, 0], busy: ['gateway/r1'] }
  const historyOf = (stage: Stage) => {
    const { run } = stage.of(S)
    return run?.policy === 'predictive' ? run.state.history : []
  }

  it.each([600_000, 86_400_000])('of %i ms is no demand: one request wakes one', (restMs) => {
    const stage = rested()
    stage.atMs += restMs
    expect(stage.step({ ...one, restMs })).toMatchObject([
      { outcome: 'APPLIED', from: 0, wanted: 1 },
    ])
    stage.grant(S)
    comesUp(stage, S)
    // Nor do more come when it is there, and when rules are tried again.
    for (let second = 0; second < 120; second += 1) {
      const row = second % 8 === 0 ? { ...quiet(S), came: [1, 0] as const } : quiet(S)
      expect(stage.step(row)).toEqual([])
    }
    expect(
      historyOf(stage)
        .slice(-600, -130)
        .every((work) => work === 0),
    ).toBe(true)
    expect(historyOf(stage).length).toBeLessThanOrEqual(900)
  })

  it('that nobody watched is not known, and starts no more than is held all the same', () => {
    const stage = rested()
    stage.atMs += 600_000
    expect(stage.step(one)).toMatchObject([{ outcome: 'APPLIED', from: 0, wanted: 1 }])
    expect(historyOf(stage).slice(-5)).toEqual([-1, -1, -1, -1, 1_000])
  })

  it('is no longer than the log says, whatever a process says', () => {
    const stage = rested()
    const { clockMs } = stage.of(S)
    stage.step({ ...one, restMs: 3_600_000 })
    expect(stage.of(S).clockMs - clockMs).toBe(1_000)
  })

  it('is over for a flood: what is held starts what it needs', () => {
    const stage = rested()
    stage.atMs += 600_000
    const flood: Signals = { ...one, came: [300, 0], held: [300, 0], restMs: 600_000 }
    expect(stage.step(flood)).toMatchObject([{ outcome: 'APPLIED', from: 0, wanted: 4 }])
  })
})

describe('what is measured', () => {
  it('follows the load within ceiling, budget and quota', () => {
    const stage = cell(8).queue('q', 3).service(S, { max: 6, wanted: 1, granted: 1, ready: 1 })
    stage.holds(S, 1, 'n1', 1)
    // Six a second each, of ten that were declared: 60 a second want ten replicas.
    const [decision] = stage.step(busy(S, 60))
    expect(decision).toMatchObject({ outcome: 'APPLIED', from: 1, wanted: 3 })
    expect(decision?.notes.map(({ code }) => code)).toEqual(['AT_CEILING', 'AT_BUDGET', 'AT_QUOTA'])
    expect(decision?.inputs.find(({ name }) => name === 'arrivals')).toMatchObject({ ageMs: 100 })
    expect(decision?.model['demandPerS']).toBe(60_000)
  })

  it('takes steps that are not equally long for what they are', () => {
    const arrivals = (spanMs: number) => {
      const stage = cell(8).service(S, { max: 6, wanted: 1, granted: 1, ready: 1 })
      const [decision] = stage.step(busy(S, 30, { spanMs }))
      return decision?.inputs.find(({ name }) => name === 'arrivals')?.numbers['requests']
    }
    expect([500, 1_000, 2_000, 10].map(arrivals)).toEqual([60, 30, 15, 60])
  })

  it.each(['kpa', 'hpa'] as const)('keeps %s within budget and quota as well', (policy) => {
    const facts = { settings: settings({ policy, targetMilli: 1_000 }) }
    const now = { max: 6, wanted: 1, granted: 1, ready: 1 }
    const stage = cell(8).queue('q', 2).service(S, now, facts).holds(S, 1, 'n1', 1)
    const [decision] = stage.step(busy(S, 60))
    expect(decision).toMatchObject({ outcome: 'APPLIED', from: 1, wanted: 2, policy })
  })

  it('holds the last value when metrics are lost, and says so once', () => {
    const stage = cell(8).service(S, { max: 6, wanted: 4, granted: 4, ready: 4 })
    stage.step(busy(S, 20))
    const blind: Signals = { jobId: S, busy: ['gateway/r1'] }
    expect(stage.step(blind)).toMatchObject([
      { outcome: 'HELD', from: 4, wanted: 4, hold: { code: 'METRICS_UNKNOWN' } },
    ])
    for (let n = 0; n < 600; n += 1) expect(stage.step(blind)).toEqual([])
    expect(stage.asked.size).toBe(0)
  })

  it.each([
    ['stale', { came: [0, 60_000], held: [0, 60_000], inside: [0, 60_000] }, 'STALE'],
    ['from the future', { came: [9, -9_000], held: [9, -9_000] }, 'FROM_THE_FUTURE'],
    ['absurd', { came: [-1, 0], held: [-1, 0], inside: [-1, 0] }, 'ABSURD'],
  ] as const)('does not use what is %s', (_, gauges, code) => {
    const stage = cell(8).service(S, { max: 6, wanted: 3, granted: 3, ready: 3 })
    const [decision] = stage.step({ jobId: S, busy: ['gateway/r1'], ...gauges })
    expect(decision).toMatchObject({ outcome: 'HELD', hold: { code: 'METRICS_UNKNOWN' } })
    expect(decision?.inputs.find(({ name }) => name === 'arrivals')?.unused).toBe(code)
  })

  it('does not shrink while a gate that held requests is silent', () => {
    const stage = cell(8).service(S, { wanted: 3, granted: 3, ready: 3 })
    stage.step(busy(S, 15))
    for (let second = 0; second < 60; second += 1) {
      for (const { wanted } of stage.step({ ...quiet(S), silent: 1 })) expect(wanted).toBe(3)
    }
    expect(stage.asked.size).toBe(0)
  })

  it('takes a jump of the clock for no idleness', () => {
    const stage = cell().service(S, { wanted: 1, granted: 1, ready: 1 })
    stage.step(busy(S, 5))
    stage.atMs += 86_400_000
    const inside = { ...quiet(S), inside: [1, 100] as const }
    expect(stage.step(inside)).toEqual([])
    expect(stage.of(S).scale?.wanted).toBe(1)
  })

  it('provides for what the profiler expects, as long as that holds', () => {
    const stage = cell(8).service(S, { max: 6, wanted: 1, granted: 1, ready: 1 })
    const forecast = {
      atMs: stage.atMs,
      bucketMs: 10_000,
      startMs: stage.atMs,
      perSMilli: [5_000, 24_000, 9_000],
    }
    stage.tell({ type: 'NoteForecast', jobId: S, forecast })
    const [decision] = stage.step(busy(S, 5))
    expect(decision).toMatchObject({ outcome: 'APPLIED', wanted: 4 })
    const expected = decision?.inputs.find(({ name }) => name === 'expected')
    expect(expected).toMatchObject({ ageMs: 1_000, numbers: { requestsPerS: 24 } })
    const late = cell(8).service(S, { max: 6, wanted: 1, granted: 1, ready: 1 })
    late.tell({ type: 'NoteForecast', jobId: S, forecast })
    late.atMs += 30_000
    expect(late.step(busy(S, 5))).toEqual([])
    late.tell({ type: 'ReplaceSource', source: 'resource-profiler', commands: [] })
    expect(late.of(S).forecast).toBeUndefined()
  })

  it('learns what a replica bears from what it did', () => {
    const facts = { settings: settings({ capacityMilli: 0 }) }
    const stage = cell(8).service(S, { wanted: 1, granted: 1, ready: 1 }, facts)
    stage.step(busy(S, 4))
    // One after the other: ten a second of 100 ms each; on the coarse scale.
    expect(stage.of(S).capacity).toMatchObject({ lightUs: 100_000, capacityMilli: 8_077 })
    for (let n = 0; n < 20; n += 1) stage.step(busy(S, 30))
    const { capacityMilli } = stage.of(S).capacity
    expect(capacityMilli).toBeGreaterThan(20_000)
    expect(capacityMilli).toBeLessThanOrEqual(30_000)
  })

  it('keeps requests within the objectives of the service', () => {
    const stage = cell(8).service(S)
    const objective = {
      name: 'fast',
      tenant: 'team-a',
      service: `of-${S}`,
      clause: { indicator: 'ttft', thresholdUs: 200_000, missPpm: 1_000 },
    } as const
    stage.tell({ type: 'NoteObjective', objectiveId: 'o-1', objective })
    stage.tell({
      type: 'NoteObjective',
      objectiveId: 'o-2',
      objective: { ...objective, tenant: 'b' },
    })
    stage.step(busy(S, 5))
    const { run } = stage.of(S)
    expect(run?.policy === 'predictive' && run.state.marginPct).toHaveLength(1)
    const action = { type: 'NoteAction', objectiveId: 'o-1', tenant: '', service: S } as const
    stage.tell({ ...action, actionId: 'a-1', holds: true })
    expect(stage.of(S).urgent).toEqual({ actionIds: ['a-1'], least: 1 })
    stage.grant(S)
    expect(stage.step(quiet(S))).toEqual([])
    stage.tell({ ...action, actionId: 'a-1', holds: false })
    expect(stage.of(S).urgent).toBeUndefined()
    expect(stage.of(S).story.map(({ code }) => code)).toContain('OBJECTIVE_BREACHED')
  })
})

describe('one writer', () => {
  it('only advises while a user owns the scale, and decides again when it is given back', () => {
    const stage = cell().service(S, { owner: 'user', version: 3 })
    expect(stage.step(held(S, 3))).toMatchObject([{ outcome: 'ADVISED', from: 0, wanted: 1 }])
    expect(stage.asked.size).toBe(0)
    stage.job(S, scale({ version: 4 }))
    expect(stage.step(held(S, 3))).toMatchObject([{ outcome: 'APPLIED', scaleVersion: 4 }])
    expect(stage.of(S).story.map(({ code }) => code)).toContain('OWNER_CHANGED')
  })

  it('waits for the version that the scheduler knows when its own was stale', () => {
    const stage = cell().service(S)
    stage.step(held(S, 3))
    stage.refuse(S, 'STALE_SCALE', { expected: 1, current: 2 })
    expect(stage.step(held(S, 3))).toEqual([])
    stage.job(S, scale({ version: 2, owner: 'user', wanted: 2 }))
    expect(stage.step(held(S, 3))).toEqual([])
    expect(stage.asked.size).toBe(0)
  })

  it('is told by the scheduler that somebody else decides', () => {
    const stage = cell().service(S)
    stage.step(held(S, 3))
    stage.refuse(S, 'SCALE_OWNED', { version: 2 })
    for (let n = 0; n < 30; n += 1) expect(stage.step(held(S, 3))).toEqual([])
  })

  it('carries nothing out in the modes advise and off', () => {
    const stage = cell().service(S)
    stage.tell({ type: 'SetMode', jobId: S, mode: 'advise' })
    expect(stage.step(held(S, 3))).toMatchObject([{ outcome: 'ADVISED', wanted: 1 }])
    stage.tell({ type: 'SetMode', jobId: S, mode: 'off' })
    expect(stage.step(held(S, 3))).toEqual([])
    stage.tell({ type: 'SetMode', jobId: S, mode: 'automatic' })
    expect(stage.step(held(S, 3))).toMatchObject([{ outcome: 'APPLIED' }])
    expect(stage.refused({ type: 'SetMode', jobId: 'j-0-x', mode: 'off' }).reason).toBe(
      'TARGET_NOT_FOUND',
    )
  })

  it('leaves a scheduler alone that refuses for reasons it does not know', () => {
    const stage = cell().service(S)
    stage.step(held(S, 3))
    stage.refuse(S, 'FEATURE_NOT_ENABLED')
    expect(whyBlocked(stage.of(S), stage.atMs)).toBe('SCHEDULER_REFUSED')
    for (let n = 0; n < 29; n += 1) expect(stage.step(held(S, 3))).toEqual([])
    expect(whyBlocked(stage.of(S), stage.of(S).blocked?.untilMs ?? 0)).toBeUndefined()
    expect(stage.step(held(S, 3))).toMatchObject([{ outcome: 'APPLIED' }])
  })

  it('does not grow what the scheduler granted in part: it was asked for already', () => {
    const stage = cell(8).service(S, { max: 6, wanted: 1, granted: 1, ready: 1 })
    stage.step(busy(S, 30))
    const { wanted } = stage.grant(S, 1)
    expect(wanted).toBe(5)
    for (let n = 0; n < 30; n += 1) expect(stage.step(busy(S, 30))).toEqual([])
    expect(stage.of(S).story.at(-1)).toMatchObject({ code: 'GRANTED_IN_PART' })
  })

  it('forgets a job that has ended, and its open call', () => {
    const stage = cell().service(S)
    stage.step(held(S, 3))
    stage.job(S, scale(), { state: 'Cancelled' })
    expect(stage.state.targets.size).toBe(0)
    expect(stage.asked.size).toBe(0)
    const outcome = { at: 'Refused', code: 'JOB_FINISHED', numbers: {} } as const
    expect(stage.tell({ type: 'SettleResize', jobId: S, decisionId: 'd-0-1', outcome })).toEqual([])
  })
})

describe('one device budget', () => {
  it('training gives way to a flood within its contract, and comes back', () => {
    const stage = cell(4).training(T, { wanted: 4, granted: 4, ready: 4 }).service(S)
    const decisions = stage.step(held(S, 5))
    expect(decisions).toMatchObject([
      { policy: 'predictive', from: 0, wanted: 1 },
      { policy: 'share', from: 4, wanted: 3, notes: [{ code: 'GIVES_WAY' }] },
    ])
    stage.grant(S, 0)
    stage.grant(T, 4)
    // The checkpoint is awaited: nothing more is asked of it.
    stage.tell({ type: 'NoteResizing', jobId: T, generation: 1 })
    expect(stage.step(busy(S, 60, { held: [60, 100] }))).toEqual([])
    stage.tell({ type: 'NoteReleased', jobId: T, gang: 0, through: 1 })
    stage.holds(T, 3, 'n1', 0, 2)
    const three = { ...stage.of(T).scale, granted: 3, ready: 3 }
    stage.atMs += 2_000
    stage.job(T, scale(three), { generation: 2 })
    expect(stage.of(T).restartMs).toBeGreaterThan(0)
    stage.holds(S, 1, 'n1', 1)
    stage.job(S, scale({ ...stage.of(S).scale, granted: 1, ready: 1 }))
    // The flood goes on, and is over.
    stage.atMs += 10_000
    const more = stage.step(busy(S, 60, { held: [60, 100] }))
    expect(more).toMatchObject([
      { policy: 'predictive', wanted: 3 },
      { policy: 'share', from: 3, wanted: 1 },
    ])
    expect(more[0]?.notes.map(({ code }) => code)).toContain('AT_BUDGET')
  })

  it('training gives way to a service at its minimum that never had a request', () => {
    const stage = cell(4).training(T, { wanted: 4, granted: 4, ready: 4 })
    stage.service(S, { min: 1, wanted: 1, granted: 0 })
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toEqual([])
    expect(stage.step()).toMatchObject([
      { outcome: 'APPLIED', policy: 'share', from: 4, wanted: 3, notes: [{ code: 'GIVES_WAY' }] },
    ])
    // Until the scheduler has answered, and the tasks have gone, there is nothing to record.
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toBeUndefined()
    stage.grant(T, 4)
    stage.tell({ type: 'NoteResizing', jobId: T, generation: 1 })
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toBeUndefined()
    stage.tell({ type: 'NoteReleased', jobId: T, gang: 0, through: 1 })
    stage.holds(T, 3, 'n1', 0, 2)
    stage.job(T, scale({ ...stage.of(T).scale, granted: 3, ready: 3 }), { generation: 2 })
    // There is room now: what keeps the scheduler from it is no matter of training.
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs + 60_000)).toBeUndefined()
    comesUp(stage, S)
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs + 60_000)).toBeUndefined()
  })

  it.each([
    ['may not leave any', { min: 4 }, {}],
    ['would not leave enough', { min: 3 }, { devicesEach: 2 }],
    ['is scaled by a user', { owner: 'user' }, {}],
  ] as const)('makes no records while a service waits and training %s', (_, more, facts) => {
    const stage = cell(4).training(T, { wanted: 4, granted: 4, ready: 4, ...more })
    stage.service(S, { min: 1, wanted: 1, granted: 0 }, facts)
    expect(rowsToStep(stage.state, [quiet(S)], stage.atMs)).toBeUndefined()
  })

  it('training grows into what was free for long enough, not while others wait', () => {
    const stage = cell(4).training(T)
    expect(rowsToStep(stage.state, [], stage.atMs)).toEqual([])
    for (let second = 0; second < 30; second += 1) expect(stage.step()).toEqual([])
    stage.job('j-0-w', undefined, { state: 'Queued', waiting: 'CAPACITY_WAIT' })
    expect(rowsToStep(stage.state, [], stage.atMs)).toBeUndefined()
    expect(stage.step()).toEqual([])
    stage.job('j-0-w', undefined, { state: 'Cancelled' })
    // So does training that was never placed.
    const queued = scale({ unit: 'tasks', min: 3, max: 4, wanted: 3 })
    stage.job('j-0-q', queued, { state: 'Queued', waiting: 'GANG_INCOMPLETE' })
    expect(stage.step()).toEqual([])
    stage.job('j-0-q', queued, { state: 'Cancelled' })
    expect(stage.step()).toMatchObject([{ policy: 'share', from: 2, wanted: 4 }])
  })

  it('leaves training alone that a user scaled, or whose last change is too new', () => {
    const user = cell(4).training(T, { owner: 'user' })
    expect(rowsToStep(user.state, [], user.atMs)).toBeUndefined()
    user.service(S, { max: 4 })
    user.step(held(S, 5))
    expect([...user.asked.keys()]).toEqual([`resize:${S}`])
    const soon = cell(2).training(T)
    soon.job(T, scale({ ...soon.of(T).scale, notBeforeMs: soon.atMs + 60_000 }))
    soon.service(S)
    const [first] = soon.step(held(S, 5))
    expect(first).toMatchObject({ outcome: 'HELD', wanted: 0 })
    soon.atMs += 60_000
    expect(soon.step(held(S, 5))).toMatchObject([
      { outcome: 'APPLIED', wanted: 1 },
      { policy: 'share', wanted: 1 },
    ])
  })

  it('grows nothing while no node is known', () => {
    const stage = new Stage().queue().service(S)
    expect(stage.step(held(S, 5))).toMatchObject([
      { outcome: 'HELD', wanted: 0, notes: [{ code: 'BUDGET_UNKNOWN' }] },
    ])
    stage.node('n1', 2)
    expect(stage.step(held(S, 5))).toMatchObject([{ outcome: 'APPLIED', wanted: 1 }])
  })

  it('services of higher classes get what there is first; nobody loses what runs', () => {
    const stage = cell(3)
    const one = { wanted: 1, granted: 1, ready: 1 }
    stage.service('j-0-a', one, { class: 'batch' }).service('j-0-b', one, { class: 'interactive' })
    stage.holds('j-0-a', 1, 'n1', 1).holds('j-0-b', 1, 'n1', 1)
    const decisions = stage.step(busy('j-0-a', 60), busy('j-0-b', 60))
    expect(decisions).toMatchObject([
      { outcome: 'HELD', wanted: 1, policyWanted: 2 },
      { outcome: 'APPLIED', wanted: 2 },
    ])
  })
})

describe('sources that are told anew', () => {
  it('what is not told any more is gone', () => {
    const stage = cell(4).node('n2', 4).training(T).service(S).holds('j-0-x', 2, 'n2', 0)
    expect(stage.state.holdings.size).toBe(2)
    const job = { jobId: S, tenant: 'team-a', queue: 'q', name: 's', state: 'Running' }
    const fact = { ...job, generation: 0, waiting: '', scale: scale({ version: 2 }) }
    stage.tell({
      type: 'ReplaceSource',
      source: 'scheduler',
      commands: [{ type: 'NoteJob', job: fact }],
    })
    expect([...stage.state.targets.keys()]).toEqual([S])
    expect(stage.state.holdings.size).toBe(0)
    const node = { type: 'NoteNode', nodeId: 'n2', node: { devices: 4, ready: true } } as const
    stage.tell({ type: 'ReplaceSource', source: 'pool-manager', commands: [node] })
    expect([...stage.state.nodes.keys()]).toEqual(['n2'])
    stage.tell({ type: 'ReplaceSource', source: 'mediator', commands: [] })
    expect(stage.state.targets.size).toBe(0)
  })

  it('a service that was declared before its scheduler knows it stays', () => {
    const stage = cell(4).service(S)
    const { service } = stage.state.targets.get(S)!
    const about = { jobId: 'j-0-new', tenant: 'team-a', name: 'new', service: service! }
    stage.tell({ type: 'DeclareService', ...about })
    stage.tell({ type: 'ReplaceSource', source: 'scheduler', commands: [] })
    expect([...stage.state.targets.keys()]).toEqual(['j-0-new'])
  })
})
