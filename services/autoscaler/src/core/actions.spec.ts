import { seededRandomness } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { Stage, scale, serviceFacts } from '../testing/stage.ts'
import { clausesOf } from './clauses.ts'
import { autoscalerDecider } from './decider.ts'
import { TARGET_ACTIONS_KEPT } from './limits.ts'
import type { Signals } from './messages.ts'
import type { ObjectiveView } from './model.ts'

const A = 'j-0-a'
const B = 'j-0-b'

const objective = (more: Partial<ObjectiveView> = {}): ObjectiveView => ({
  name: 'fast',
  tenant: 'team-a',
  service: '',
  clause: { indicator: 'ttft', thresholdUs: 200_000, missPpm: 1_000 },
  ...more,
})

const asked = { objectiveId: 'o-1', tenant: 'team-a', service: '' }
const holds = (stage: Stage, actionId: string, more: Partial<typeof asked> = {}) =>
  stage.tell({ type: 'NoteAction', actionId, ...asked, ...more, holds: true })
const over = (stage: Stage, actionId: string) =>
  stage.tell({ type: 'NoteAction', actionId, ...asked, holds: false })

const cell = (of: ObjectiveView = objective()): Stage => {
  const stage = new Stage().node('n1', 8).queue()
  stage.tell({ type: 'NoteObjective', objectiveId: 'o-1', objective: of })
  return stage
}

const calm = (jobId: string): Signals => ({
  jobId,
  came: [1, 100],
  held: [0, 100],
  inside: [1, 100],
  busy: ['gateway/r1'],
})

describe('an action of an objective without a service', () => {
  it('holds for all services of its tenant while it lasts, and for no other', () => {
    const one = { wanted: 1, granted: 1, ready: 1 }
    const stage = cell()
      .service(A, one)
      .service(B, { ...one, wanted: 2, granted: 2, ready: 2 })
    const about = { name: 'theirs', service: serviceFacts() }
    stage.tell({ type: 'DeclareService', jobId: 'j-0-x', tenant: 'team-b', ...about })
    stage.job('j-0-x', scale(one), { tenant: 'team-b', name: 'theirs' })
    stage.training('j-0-t')
    holds(stage, 'o-1:0:1')
    expect(stage.of(A).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 2 })
    expect(stage.of(B).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 3 })
    expect(stage.of('j-0-x').urgent).toBeUndefined()
    expect(stage.of('j-0-t').urgent).toBeUndefined()
    expect(stage.step(calm(A), calm(B))).toMatchObject([
      { outcome: 'APPLIED', from: 1, wanted: 2 },
      { outcome: 'APPLIED', from: 2, wanted: 3 },
    ])
    over(stage, 'o-1:0:1')
    for (const jobId of [A, B]) {
      expect(stage.of(jobId).urgent).toBeUndefined()
      const codes = stage.of(jobId).story.map(({ code }) => code)
      expect(codes).toEqual(expect.arrayContaining(['OBJECTIVE_BREACHED', 'OBJECTIVE_CALM']))
    }
    expect(stage.json()).not.toContain('"actions":[[')
  })

  it('without a tenant holds for those of all', () => {
    const stage = cell(objective({ tenant: '' })).service(A)
    holds(stage, 'o-1:0:1', { tenant: '' })
    expect(stage.of(A).urgent?.actionIds).toEqual(['o-1:0:1'])
  })

  it('of one class holds for the services of that class, and is no clause of theirs', () => {
    const stage = cell(objective({ class: 'interactive' }))
    stage.service(A, {}, { class: 'interactive', objectives: ['fast'] })
    stage.service(B, {}, { class: 'batch' })
    holds(stage, 'o-1:0:1')
    expect(stage.of(A).urgent?.actionIds).toEqual(['o-1:0:1'])
    expect(stage.of(B).urgent).toBeUndefined()
    expect(clausesOf(stage.state, stage.of(A))).toMatchObject([{ indicator: 'wait' }])
  })

  it('is none of services where the objective is of jobs', () => {
    const stage = cell().service(A)
    expect(holds(stage, 'o-2:0:1', { objectiveId: 'o-2' })).toEqual([])
    expect(stage.of(A).urgent).toBeUndefined()
  })

  it('is over when its source does not tell it any more', () => {
    const stage = cell().service(A).service(B)
    holds(stage, 'o-1:0:1')
    holds(stage, 'o-1:1:2')
    const told = { type: 'NoteAction', actionId: 'o-1:1:2', ...asked, holds: true } as const
    const known = { type: 'NoteObjective', objectiveId: 'o-1', objective: objective() } as const
    stage.tell({ type: 'ReplaceSource', source: 'sla-monitor', commands: [known, told] })
    expect(stage.of(A).urgent?.actionIds).toEqual(['o-1:1:2'])
    stage.tell({ type: 'ReplaceSource', source: 'sla-monitor', commands: [known] })
    expect(stage.of(B).urgent).toBeUndefined()
    expect(stage.state.actions.size).toBe(0)
  })
})

describe('a service that comes while an action holds', () => {
  const about = { jobId: A, tenant: 'team-a', name: 'chat', service: serviceFacts() }
  const told = { tenant: 'team-a', name: 'chat' }

  it.each(['mediator', 'scheduler'])('comes under it, whoever tells first: the %s', (first) => {
    for (const service of ['', 'chat', A]) {
      const stage = cell()
      holds(stage, 'o-1:0:1', { service })
      if (first === 'mediator') stage.tell({ type: 'DeclareService', ...about })
      stage.job(A, scale({ min: 2, wanted: 2 }), told)
      if (first === 'scheduler') stage.tell({ type: 'DeclareService', ...about })
      expect(stage.of(A).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 3 })
      expect(stage.of(A).story.map(({ code }) => code)).toContain('OBJECTIVE_BREACHED')
      over(stage, 'o-1:0:1')
      expect(stage.of(A).urgent).toBeUndefined()
    }
  })

  it('comes under none that is for others, or over', () => {
    const stage = cell()
    holds(stage, 'o-1:0:1', { service: 'other' })
    holds(stage, 'o-1:0:2', { tenant: 'team-b' })
    holds(stage, 'o-1:0:3')
    over(stage, 'o-1:0:3')
    stage.tell({ type: 'DeclareService', ...about })
    stage.job(A, scale(), told)
    expect(stage.of(A).urgent).toBeUndefined()
  })

  it('does so after a snapshot as well', () => {
    const stage = cell()
    holds(stage, 'o-1:0:1')
    const json = autoscalerDecider.toJson(stage.state)
    stage.state = autoscalerDecider.fromJson(json)
    expect(autoscalerDecider.toJson(stage.state)).toEqual(json)
    stage.service(A)
    expect(stage.of(A).urgent?.actionIds).toEqual(['o-1:0:1'])
  })

  it('leaves those that a changed description takes it out of', () => {
    const stage = cell(objective({ class: 'interactive' }))
    stage.service(A, {}, { class: 'interactive' })
    holds(stage, 'o-1:0:1')
    stage.service(A, {}, { class: 'batch' })
    expect(stage.of(A).urgent).toBeUndefined()
  })
})

describe('actions of older logs, which name their targets', () => {
  const older = { type: 'UrgencyChanged', jobId: A, actionIds: ['o-1:0:1'] } as const

  it('stay at them until they are over', () => {
    const stage = cell().service(A)
    stage.fold(older)
    expect(stage.of(A).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 1 })
    stage.service(A, {}, { concurrency: 9 })
    expect(stage.of(A).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 1 })
    expect(over(stage, 'o-1:0:1')).toEqual([{ type: 'ActionOver', actionId: 'o-1:0:1' }])
    expect(stage.of(A).urgent).toBeUndefined()
  })

  it('hold for the others when they are told again, and count once', () => {
    const stage = cell().service(A).service(B, { wanted: 2 })
    stage.fold(older)
    holds(stage, 'o-1:0:1')
    expect(stage.of(A).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 1 })
    expect(stage.of(B).urgent).toEqual({ actionIds: ['o-1:0:1'], least: 3 })
  })
})

it('a target names so many actions, and those behind when the first are over', () => {
  const stage = cell().service(A)
  const ids = Array.from({ length: TARGET_ACTIONS_KEPT + 1 }, (_, at) => `o-1:${at}:1`)
  for (const actionId of ids) holds(stage, actionId)
  expect(stage.of(A).urgent?.actionIds).toEqual(ids.slice(0, -1))
  for (const actionId of ids.slice(0, -1)) over(stage, actionId)
  expect(stage.of(A).urgent?.actionIds).toEqual(ids.slice(-1))
  over(stage, ids.at(-1)!)
  expect(stage.of(A).urgent).toBeUndefined()
})

/** At random: actions of all scopes, services that come, change and go, sources told anew. */
it.each([1, 2, 3, 4, 5])('whatever comes first, targets have what is for them: seed %i', (seed) => {
  const dice = seededRandomness(seed)
  const stage = new Stage().node('n1', 8).queue()
  const classes = ['interactive', 'batch']
  const objectives = ['', ...classes].map((of, at) => {
    const objectiveId = `o-${at}`
    const view = objective(of === '' ? {} : { class: of })
    stage.tell({ type: 'NoteObjective', objectiveId, objective: view })
    return { objectiveId, of }
  })
  const held = new Map<string, { tenant: string; service: string; of: string }>()
  const jobs = ['j-0-a', 'j-0-b', 'j-0-c']
  for (let turn = 0; turn < 300; turn += 1) {
    const jobId = dice.pick(jobs)
    const tenant = dice.pick(['', 'team-a', 'team-b'])
    const { objectiveId, of } = dice.pick(objectives)
    const service = dice.chance(0.3) ? dice.pick([jobId, `of-${jobId}`]) : ''
    const actionId = `${objectiveId}:0:${dice.pick([1, 2, 3])}`
    switch (dice.pick([0, 1, 2, 3, 4, 5])) {
      case 0:
        holds(stage, actionId, { objectiveId, tenant, service })
        if (!held.has(actionId)) held.set(actionId, { tenant, service, of })
        break
      case 1:
        over(stage, actionId)
        held.delete(actionId)
        break
      case 2:
        stage.tell({ type: 'EndService', jobId })
        break
      case 3:
        stage.job(jobId, scale({ wanted: dice.pick([0, 1, 2]) }))
        break
      case 4:
        stage.state = autoscalerDecider.fromJson(autoscalerDecider.toJson(stage.state))
        break
      default: {
        const facts = serviceFacts({ class: dice.pick(classes) })
        const about = { tenant: 'team-a', name: `of-${jobId}`, service: facts }
        stage.tell({ type: 'DeclareService', jobId, ...about })
      }
    }
    for (const target of stage.state.targets.values()) {
      const { scale: now, service: serves, urgent } = target
      const mine = [...held].filter(
        ([, a]) =>
          (a.tenant === '' || a.tenant === 'team-a') &&
          (a.service === ''
            ? a.of === '' || a.of === serves?.class
            : [target.jobId, target.name].includes(a.service)),
      )
      const known = now !== undefined && serves !== undefined
      const want = known ? mine.map(([id]) => id).sort() : []
      expect([...(urgent?.actionIds ?? [])].sort()).toEqual(want)
      if (urgent !== undefined) expect(urgent.least).toBeGreaterThan(0)
    }
  }
})
