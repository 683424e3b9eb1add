import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { commandOfTimer } from '../app/definition.ts'
import { faultDecider } from './decider.ts'
import type { FaultInput } from './messages.ts'
import { REPLICAS_KEPT, SERVICE_INCIDENTS_KEPT, type TaskEnd } from './model.ts'

const AT = 1_000_000
const at2 = { ...faultDecider }
at2.decide = (command, state, context) => {
  // Ids take the first digits.
  const nonce = [...context.nonce].reverse().join('')
  return faultDecider.decide(command, state, { ...context, nonce, featureLevel: 2 })
}

const retry = { restartsMax: 2, userRestartsMax: 0, backoffMs: 1_000 }
const described: FaultInput = {
  type: 'DescribeJob',
  jobId: 's',
  tenant: 'a',
  name: 'server',
  retry,
  startupDeadlineMs: 30_000,
}
const of = (gang = 1, generation = 1) => ({ jobId: 's', gang, generation })
const placed = (gang = 1, generation = 1): FaultInput => ({
  type: 'NotePlaced',
  ...of(gang, generation),
  tenant: 'a',
  nodeOfRank: ['n1'],
})
const started = (gang = 1, generation = 1): FaultInput => ({
  type: 'NoteStarted',
  ...of(gang, generation),
  rank: 0,
})
const probed = (ready: boolean, gang = 1, generation = 1): FaultInput => ({
  type: 'NoteReadiness',
  ...of(gang, generation),
  ready,
  cause: ready ? '' : 'GET /healthz: 503',
})
const ended = (more: Partial<TaskEnd> = {}, gang = 1, generation = 1): FaultInput => {
  const end: TaskEnd = {
    rank: 0,
    nodeId: 'n1',
    cause: 'EXITED',
    exitCode: 1,
    signal: '',
    message: '',
    atMs: AT,
    ...more,
  }
  return { type: 'NoteEnded', ...of(gang, generation), end }
}
const released = (gang: number, through: number, cause: string): FaultInput => ({
  type: 'NoteReleased',
  jobId: 's',
  gang,
  through,
  cause,
})
const starting = () => spec(at2).after(described, placed(), started())
const serving = () => starting().after(probed(true))

/** The judgement of the failure that a command tells of. */
function judged(given: ReturnType<typeof starting>, failure: FaultInput) {
  const { incident } = given.when(failure).the('IncidentOpened')
  const outcome = given.when({ type: 'Judge', incidentId: incident.incidentId })
  const { progress } = outcome.the('IncidentMoved')
  const effect = outcome.accepted[0]?.effects?.[0]
  if (progress.at !== 'Decided') throw new Error('not decided')
  return { progress, effect, payload: effect?.payload as Record<string, unknown> }
}

describe('a replica that does not become ready', () => {
  it('is replaced after its deadline, and it is said why', () => {
    const given = spec(at2).after(described, placed())
    const outcome = given.when(started())
    const timers = [{ key: 'startup:s:1:1', dueMs: AT + 30_000 }]
    expect(outcome.accepted[0]?.timers).toEqual(timers)
    given.after(probed(false))
    const { progress, effect, payload } = judged(
      given,
      commandOfTimer('startup:s:1:1') as FaultInput,
    )
    expect(progress.verdict).toMatchObject({ blame: 'User', cause: 'NEVER_READY' })
    expect(effect).toMatchObject({ kind: 'Recover' })
    expect(payload['cause']).toContain('not ready 30000 ms after its start: GET /healthz: 503')
  })

  it('is left alone when it was ready, ended or is over', () => {
    const late = commandOfTimer('startup:s:1:1') as FaultInput
    serving().when(late).thenNothing()
    starting()
      .after(released(1, 1, 'DRAINED'))
      .when(late)
      .thenNothing()
    const failed = starting()
    failed.when(ended())
    failed.when(late).thenNothing()
  })

  it('has the deadline of the description that the service has when it starts', () => {
    const given = starting()
    const declared = { type: 'DescribeService', jobId: 's', startupDeadlineMs: 90_000 } as const
    given.when({ ...declared, startupDeadlineMs: 30_000 }).thenNothing()
    given.when(declared).thenEvents({ type: 'ServiceDescribed' })
    const timers = [{ key: 'startup:s:2:1', dueMs: AT + 90_000 }]
    const outcome = given.after(placed(2)).when(started(2))
    expect(outcome.accepted[0]?.timers).toEqual(timers)
    given.when({ ...declared, jobId: 't' }).thenNothing()
  })

  it('gets its deadline also when the description comes last', () => {
    const outcome = spec(at2).after(placed(), started()).when(described)
    expect(outcome.accepted[0]?.timers).toEqual([{ key: 'startup:s:1:1', dueMs: AT + 30_000 }])
  })
})

describe('a replica that fails', () => {
  it('is placed again, whatever its code: a server that ends has not done its work', () => {
    const { progress, effect } = judged(serving(), ended({ exitCode: 0 }))
    expect(progress.verdict).toMatchObject({ blame: 'User', cause: 'SERVER_ENDED' })
    expect(effect).toMatchObject({ kind: 'Recover' })
    // As asked is no failure.
    serving()
      .when(ended({ cause: 'STOPPED' }))
      .thenEvents({ type: 'TaskEndNoted' })
  })

  it('never ends a service that has served, with a back-off that doubles', () => {
    const given = serving()
    const waits: number[] = []
    for (let generation = 1; generation <= 9; generation += 1) {
      const { effect, payload } = judged(given, ended({}, 1, generation))
      expect(effect?.kind).toBe('Recover')
      waits.push(Number(payload['notBeforeMs']) - AT)
      given.after(released(1, generation, 'RECOVER'))
      given.after(placed(1, generation + 1), started(1, generation + 1))
    }
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(waits.at(-1)).toBe(60_000)
    // A minute of service, and it starts anew.
    given.after(probed(true, 1, 10)).at(AT + 60_000)
    const { payload } = judged(given, ended({}, 1, 10))
    expect(Number(payload['notBeforeMs']) - AT - 60_000).toBe(1_000)
  })

  it('ends a service that never served when the budget of start-ups is spent', () => {
    const given = starting()
    for (let generation = 1; generation <= 2; generation += 1) {
      const { effect } = judged(given, ended({}, 1, generation))
      expect(effect?.kind).toBe('Recover')
      given.after(released(1, generation, 'RECOVER'))
      given.after(placed(1, generation + 1), started(1, generation + 1))
    }
    const { progress, effect, payload } = judged(given, ended({}, 1, 3))
    expect(progress.decision).toBe('GIVE_UP')
    expect(effect?.kind).toBe('GiveUp')
    expect(payload).toMatchObject({ code: 'START_UP_FAILED', gang: 1, expectedGeneration: 3 })
  })

  it('is not charged to the start-up budget when its node was lost', () => {
    const given = starting()
    for (let generation = 1; generation <= 6; generation += 1) {
      const { effect } = judged(given, ended({ cause: 'NODE_LOST', exitCode: -1 }, 1, generation))
      expect(effect?.kind).toBe('Recover')
      given.after(released(1, generation, 'RECOVER'))
      given.after(placed(1, generation + 1), started(1, generation + 1))
    }
  })
})

describe('what is remembered of a service', () => {
  it('is bounded, however many replicas come and go', () => {
    const given = spec(at2).after(described)
    const replicas = REPLICAS_KEPT + 50
    for (let gang = 1; gang <= replicas; gang += 1) {
      given.after(placed(gang), started(gang), probed(true, gang))
      judged(given, ended({}, gang))
      given.after(released(gang, 1, 'DRAINED'))
    }
    expect(given.state.jobs.get('s')?.gangs.size).toBe(REPLICAS_KEPT)
    expect(given.state.incidents.size).toBe(SERVICE_INCIDENTS_KEPT)
    // Late news of one that is over are nobody's.
    given.when(ended({}, replicas)).thenNothing()
    const json = JSON.stringify(at2.toJson(given.state))
    expect(JSON.stringify(at2.toJson(at2.fromJson(JSON.parse(json))))).toBe(json)
  })
})

describe('a planned change of a training gang', () => {
  const told: FaultInput = { ...described, jobId: 't' }
  const { startupDeadlineMs: _, ...training } = { ...told, type: 'DescribeJob' } as const
  const gang = { jobId: 't', gang: 0, generation: 1 }
  const checkpoint = (step: number, notice = ''): FaultInput => ({
    type: 'RegisterCheckpoint',
    ...gang,
    checkpoint: { step, path: `t/gen-1/step-${step}`, bytes: 1, digest: '' },
    notice,
  })
  const notice = { id: 't.1.2', deadlineMs: AT + 20_000, cause: 'from 2 to 4 tasks' }
  const asked = () =>
    spec(at2).after(
      training as FaultInput,
      { type: 'NotePlaced', ...gang, tenant: 'a', nodeOfRank: ['n1', 'n2'] },
      checkpoint(10),
      { type: 'NoteNotice', ...gang, notice },
    )

  it('goes on from the checkpoint that was asked for', () => {
    const given = asked()
    // One that it writes anyway is not the one: it goes on working.
    given.when(checkpoint(20)).thenEvents({ type: 'CheckpointRegistered' })
    const outcome = given.when(checkpoint(23, notice.id))
    outcome.thenEvents({ type: 'CheckpointRegistered' }, { type: 'NoticeSettled', late: false })
    const [effect] = outcome.accepted[0]?.effects ?? []
    expect(effect).toMatchObject({
      key: 'resize:t:0:1',
      kind: 'Recover',
      payload: { incidentId: notice.id, checkpointStep: 23, notBeforeMs: 0, restartsCharged: 0 },
    })
    given.when(checkpoint(23, notice.id)).thenNothing()
    expect(given.state.incidents.size).toBe(0)
  })

  it('takes the last one when it stands at that step already', () => {
    const outcome = asked().when(checkpoint(10, notice.id))
    outcome.thenEvents({ type: 'NoticeSettled', late: false })
  })

  it('does not wait longer than its deadline', () => {
    const given = asked().after({ type: 'NoteProgress', ...gang, step: 17 })
    const outcome = given.when(commandOfTimer('notice:t:0:1') as FaultInput)
    outcome.thenEvents({ type: 'NoticeSettled', late: true })
    const [effect] = outcome.accepted[0]?.effects ?? []
    expect(effect?.payload).toMatchObject({ checkpointStep: 10 })
    expect(JSON.stringify(effect?.payload)).toContain('no checkpoint in time, 7 steps')
  })

  it('is forgotten when the gang fails before it', () => {
    const given = asked().after({
      type: 'NoteReleased',
      jobId: 't',
      gang: 0,
      through: 1,
      cause: 'RECOVER',
    })
    given.when(commandOfTimer('notice:t:0:1') as FaultInput).thenNothing()
    given.when(checkpoint(30, notice.id)).thenNothing()
  })
})
