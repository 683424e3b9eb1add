import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { cancel, enqueue, freed, giveUp, node, queue, recover } from '../testing/commands.ts'
import { probed, resize, scaleByHand, service, up } from '../testing/service-words.ts'
import { schedulerDecider } from './decider.ts'
import { explainJob } from './explain.ts'
import type { SchedulerCommand } from './messages.ts'
import { scaleNow } from './scale.ts'
import type { SchedulerState } from './state.ts'

const AT = 1_000_000
const at2 = { ...schedulerDecider }
at2.decide = (command, state, context) =>
  schedulerDecider.decide(command, state, { ...context, featureLevel: 2 })

const cell = (devices = 4) => spec(at2).after(queue('q'), node('n1', { devices }))
const of = (command: SchedulerCommand, gang: number): SchedulerCommand =>
  ({ ...command, gang }) as SchedulerCommand
const endDrain = (gang: number): SchedulerCommand => ({
  type: 'EndDrain',
  jobId: 's',
  gang,
  generation: 1,
})
const shows = (given: { state: SchedulerState }) => explainJob(given.state, 's')?.state
const counts = (given: { state: SchedulerState }) => {
  const { granted, ready, draining } = scaleNow(given.state, 's')!
  return { granted, ready, draining }
}
/** One ready replica. */
const serving = () => cell().after(service('s'), up('s', 1), probed('s', 1, true))

describe('a service', () => {
  it('is refused while a version that does not know services may lead', () => {
    const before = spec(schedulerDecider).after(queue('q'), node('n1'))
    before.when(service('s')).thenRefused('FEATURE_NOT_ENABLED', { level: 2 })
  })

  it('has replicas that are gangs of their own, numbered from 1', () => {
    const outcome = cell().when(service('s', { replicas: 2 }))
    outcome.thenEvents(
      { type: 'ServiceQueued' },
      { type: 'ReplicasAdded', gangs: [1, 2] },
      { type: 'GangPlaced', jobId: 's', gang: 1, generation: 1 },
      { type: 'GangPlaced', jobId: 's', gang: 2, generation: 1 },
    )
  })

  it('is running while a replica is ready, and says what it is before', () => {
    const given = cell()
    given.after(service('s', { replicas: 2 }))
    expect(shows(given)).toBe('Admitted')
    given.after(up('s', 1))
    expect(shows(given)).toBe('Starting')
    given.after(up('s', 2), probed('s', 2, true))
    expect(shows(given)).toBe('Running')
    expect(counts(given)).toEqual({ granted: 2, ready: 1, draining: 0 })
    given.when(probed('s', 2, true)).thenNothing()
    given.when(probed('s', 1, false)).thenNothing()
    given.after(probed('s', 2, false))
    expect(shows(given)).toBe('Starting')
    const alone = serving().after(probed('s', 1, false))
    expect(shows(alone)).toBe('Recovering')
  })

  it('does not succeed when a server ends by itself', () => {
    const given = serving()
    const end = { type: 'ObserveTasks', jobId: 's', gang: 1, generation: 1 } as const
    given
      .when({ ...end, started: [], ended: [0] })
      .thenEvents({ type: 'TasksObserved', ended: [0] })
  })

  it('waits with a reason when there is no place, and each replica goes on when there is', () => {
    const given = cell(1)
    given.after(service('s', { replicas: 2 }))
    expect(counts(given)).toEqual({ granted: 1, ready: 0, draining: 0 })
    expect(explainJob(given.state, 's')?.reason?.code).toBe('CAPACITY_WAIT')
    given
      .when(node('n2', { devices: 1 }))
      .thenEvents({ type: 'NodeObserved' }, { type: 'GangPlaced', gang: 2 })
  })
})

describe('the scale of a service', () => {
  it('grows by new gangs and shrinks by draining the youngest ready one', () => {
    const given = serving().after(resize('s', 2), up('s', 2), probed('s', 2, true))
    given
      .when(resize('s', 1, { expectedVersion: 2 }))
      .thenEvents(
        { type: 'ScaleChanged', wanted: 1, version: 3 },
        { type: 'ReplicaDraining', gang: 2, generation: 1, untilMs: AT + 5_000 },
      )
    expect(counts(given)).toEqual({ granted: 1, ready: 1, draining: 1 })
    given
      .when(endDrain(2))
      .thenEvents(
        { type: 'GangReleased', gang: 2, throughGeneration: 1, cause: 'DRAINED' },
        { type: 'ReplicaRemoved', gang: 2 },
      )
    // The number is not used again.
    given
      .when(resize('s', 2, { expectedVersion: 3 }))
      .thenEvents(
        { type: 'ScaleChanged' },
        { type: 'ReplicasAdded', gangs: [3] },
        { type: 'GangPlaced' },
      )
  })

  it('takes first what serves nobody', () => {
    const given = cell(2).after(service('s', { replicas: 3 }), up('s', 2), probed('s', 2, true))
    // 3 waits in the queue, 1 is placed and not ready.
    given
      .when(resize('s', 1))
      .thenEvents(
        { type: 'ScaleChanged' },
        { type: 'ReplicaRemoved', gang: 3 },
        { type: 'GangReleased', gang: 1, cause: 'DRAINED' },
        { type: 'ReplicaRemoved', gang: 1 },
      )
  })

  it('goes to zero and back', () => {
    const given = serving().after(resize('s', 0), endDrain(1))
    expect(shows(given)).toBe('Running')
    expect(counts(given)).toEqual({ granted: 0, ready: 0, draining: 0 })
    given.after(resize('s', 1, { expectedVersion: 2 }))
    expect(shows(given)).toBe('Admitted')
    // The old one's devices come back only now; nothing of it is known any more.
    given
      .when({ ...freed('s', 1, 0), gang: 1 } as SchedulerCommand)
      .thenEvents({ type: 'RanksFreed' })
  })

  it('has one owner: the first controller, until a user takes it', () => {
    const given = serving().after(resize('s', 2))
    const other = { owner: 'other', expectedVersion: 2, decisionId: 'o' }
    given.when(resize('s', 3, other)).thenRefused('SCALE_OWNED', { owner: 'autoscaler' })
    given.after(scaleByHand('s', 3))
    given.when(resize('s', 1, { expectedVersion: 3 })).thenRefused('SCALE_OWNED', { owner: 'user' })
    given.after({ ...scaleByHand('s', 0), release: true, decisionId: 'give back' })
    expect(scaleNow(given.state, 's')?.state).toMatchObject({ owner: '', wanted: 3, version: 4 })
    given.after(resize('s', 1, other.expectedVersion === 2 ? { ...other, expectedVersion: 4 } : {}))
    expect(scaleNow(given.state, 's')?.state).toMatchObject({ owner: 'other', version: 5 })
  })

  it('refuses a decision upon an older version, and repeats the answer of the same one', () => {
    const given = serving().after(resize('s', 2))
    given.when(resize('s', 2)).thenNothing()
    given.when(resize('s', 3, { decisionId: 'late' })).thenRefused('STALE_SCALE', { current: 2 })
    given.when(resize('s', 9, { expectedVersion: 2 })).thenRefused('SCALE_OUT_OF_RANGE', { max: 4 })
    given.when(resize('t', 1)).thenRefused('JOB_NOT_FOUND')
    given.after(enqueue('a'))
    given.when(resize('a', 1)).thenRefused('NOT_SCALABLE')
  })
})

describe('a replica that fails', () => {
  it('is placed again alone, and the service goes on', () => {
    const given = cell().after(service('s', { replicas: 2 }), up('s', 1), up('s', 2))
    given.after(probed('s', 1, true), probed('s', 2, true))
    given
      .when(of(recover('s', 1), 2))
      .thenEvents(
        { type: 'GangReleased', gang: 2, cause: 'RECOVER' },
        { type: 'JobRecovering', gang: 2 },
        { type: 'GangPlaced', gang: 2, generation: 2 },
      )
    expect(shows(given)).toBe('Running')
    given.when(of(recover('s', 1), 2)).thenNothing()
    given.when(of(recover('s', 7), 1)).thenRefused('STALE_GENERATION')
    given.when(of(recover('s', 1), 9)).thenRefused('GANG_NOT_FOUND')
  })

  it('backs off by itself', () => {
    const given = serving()
    const plan = { notBeforeMs: AT + 4_000 }
    const outcome = given.when(of(recover('s', 1, plan), 1))
    expect(outcome.accepted[0]?.timers).toEqual([{ key: 'backoff:s:1:1', dueMs: AT + 4_000 }])
    expect(shows(given)).toBe('Recovering')
    given
      .when({ type: 'EndBackoff', jobId: 's', gang: 1, generation: 1 })
      .thenEvents({ type: 'BackoffEnded', gang: 1 }, { type: 'GangPlaced', gang: 1, generation: 2 })
  })

  it('is over when it was draining', () => {
    const given = serving().after(resize('s', 0))
    given
      .when(of(recover('s', 1), 1))
      .thenEvents({ type: 'GangReleased', cause: 'DRAINED' }, { type: 'ReplicaRemoved', gang: 1 })
    given.when(endDrain(1)).thenNothing()
  })
})

describe('the end of a service', () => {
  it('releases all replicas', () => {
    const given = cell(1).after(service('s', { replicas: 2 }))
    given
      .when(cancel('s'))
      .thenEvents(
        { type: 'GangReleased', gang: 1, cause: 'CANCELLED' },
        { type: 'ReplicaRemoved', gang: 1 },
        { type: 'ReplicaRemoved', gang: 2 },
        { type: 'JobCancelled' },
      )
    expect(shows(given)).toBe('Cancelled')
    given.when(cancel('s')).thenNothing()
    given.when(resize('s', 1)).thenRefused('JOB_FINISHED')
    given.when(service('s')).thenNothing()
  })

  it('comes when a replica is given up', () => {
    const given = serving()
    given.after(of(giveUp('s', 1), 1))
    expect(shows(given)).toBe('Failed')
    given.when(of(giveUp('s', 1), 1)).thenNothing()
    given.when(cancel('s')).thenNothing()
  })
})
