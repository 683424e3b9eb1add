import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { serviceSentence } from '../adapters/sentence.ts'
import { commandOfTimer } from '../app/definition.ts'
import { cancel, enqueue, giveUp, node, queue, recover } from '../testing/commands.ts'
import { probed, resize, service, up } from '../testing/service-words.ts'
import { placeIt, startupOver, update } from '../testing/update-words.ts'
import { schedulerDecider } from './decider.ts'
import { explainJob } from './explain.ts'
import type { SchedulerCommand } from './messages.ts'
import type { SchedulerState } from './state.ts'
import type { ServiceSpec } from './types.ts'
import { updateNow } from './updates.ts'

const AT = 1_000_000
const at2 = { ...schedulerDecider }
at2.decide = (command, state, context) =>
  schedulerDecider.decide(command, state, { ...context, featureLevel: 2 })

/** A service with so many ready replicas on a node with so many devices. */
function serving(replicas: number, devices = 8, words: Partial<ServiceSpec> = {}) {
  const given = spec(at2).after(queue('q'), node('n1', { devices }))
  given.after(service('s', { replicas, ...words }))
  for (let gang = 1; gang <= replicas; gang += 1) given.after(...readied(gang))
  return given
}
/** A replica starts and is ready. */
const readied = (gang: number, generation = 1): SchedulerCommand[] => [
  up('s', gang, generation),
  probed('s', gang, true, generation),
]
const endDrain = (gang: number): SchedulerCommand => ({
  type: 'EndDrain',
  jobId: 's',
  gang,
  generation: 1,
})
type Given = { state: SchedulerState }
const now = ({ state }: Given) => {
  const { updated, outdated, state: told } = updateNow(state, 's')!
  return { at: told.at, updated, outdated }
}
const sentence = ({ state }: Given) => {
  const { reason } = explainJob(state, 's')!
  return serviceSentence(state.services.get('s')!, reason)
}
/** Gangs with their revisions; those that drain in brackets. */
const replicas = ({ state }: Given) =>
  [...state.services.get('s')!.replicas.values()].map(({ gang, revision = 1, drain }) =>
    drain === undefined ? `${gang}r${revision}` : `(${gang}r${revision})`,
  )
const failing = (gang: number, generation: number) =>
  ({ ...recover('s', generation), gang }) as SchedulerCommand

describe('a rolling update', () => {
  it('has a new replica ready before an old one drains, one after another', () => {
    const given = serving(2)
    given
      .when(update('s', 1))
      .thenEvents(
        { type: 'UpdateStarted', number: 1, revision: 2, fromRevision: 1 },
        { type: 'ReplicasAdded', gangs: [3], revision: 2 },
      )
    given.when(placeIt).thenEvents({ type: 'GangPlaced', gang: 3, generation: 1, revision: 2 })
    expect(now(given)).toEqual({ at: 'Rolling', updated: 0, outdated: 2 })
    given.when(up('s', 3)).thenEvents({ type: 'TasksObserved' })
    given
      .when(probed('s', 3, true))
      .thenEvents(
        { type: 'ReplicaReady', gang: 3 },
        { type: 'ReplicaDraining', gang: 1, untilMs: AT + 5_000, cause: 'UPDATED' },
        { type: 'ReplicasAdded', gangs: [4], revision: 2 },
      )
    expect(replicas(given)).toEqual(['(1r1)', '2r1', '3r2', '4r2'])
    expect(sentence(given)).toContain('updating to revision 2: 1 new ready, 1 old left')
    given.after(placeIt, up('s', 4))
    given
      .when(probed('s', 4, true))
      .thenEvents(
        { type: 'ReplicaReady', gang: 4 },
        { type: 'ReplicaDraining', gang: 2 },
        { type: 'UpdateFinished', number: 1 },
      )
    given.after(endDrain(1), endDrain(2))
    expect(replicas(given)).toEqual(['3r2', '4r2'])
    expect(now(given)).toEqual({ at: 'Done', updated: 2, outdated: 0 })
    expect(sentence(given)).toBe('')
    // What comes later is of the new revision, and stays so when it fails.
    given
      .when(resize('s', 3))
      .thenEvents(
        { type: 'ScaleChanged' },
        { type: 'ReplicasAdded', gangs: [5], revision: 2 },
        { type: 'GangPlaced', gang: 5, revision: 2 },
      )
    given
      .when(failing(3, 1))
      .thenEvents(
        { type: 'GangReleased', cause: 'RECOVER' },
        { type: 'JobRecovering' },
        { type: 'GangPlaced', gang: 3, generation: 2, revision: 2 },
      )
  })

  it('is done at once where there is no replica, and the next one is of the new revision', () => {
    const given = serving(0)
    given
      .when(update('s', 1))
      .thenEvents({ type: 'UpdateStarted' }, { type: 'UpdateFinished', number: 1 })
    given
      .when(resize('s', 1))
      .thenEvents(
        { type: 'ScaleChanged' },
        { type: 'ReplicasAdded', gangs: [1], revision: 2 },
        { type: 'GangPlaced', gang: 1, revision: 2 },
      )
  })

  it('waits for a device with the reason where none is free, and all others go on', () => {
    const given = serving(2, 2)
    given.after(update('s', 1), placeIt)
    expect(explainJob(given.state, 's')?.reason?.code).toBe('CAPACITY_WAIT')
    expect(sentence(given)).toContain('waits for capacity')
    expect(replicas(given)).toEqual(['1r1', '2r1', '3r2'])
  })

  it('takes one before it adds one only where that many may be missing', () => {
    const given = serving(2, 2)
    given
      .when(update('s', 1, { maxSurge: 0, maxUnavailable: 1 }))
      .thenEvents(
        { type: 'UpdateStarted' },
        { type: 'ReplicaDraining', gang: 1, cause: 'UPDATED' },
        { type: 'ReplicasAdded', gangs: [3], revision: 2 },
      )
    // Its devices are there when the old one is gone.
    given.when(placeIt).thenEvents({ type: 'ClassReasonChanged' })
    given.when(probed('s', 2, true)).thenNothing()
    expect(replicas(given)).toEqual(['(1r1)', '2r1', '3r2'])
  })

  it('goes back by an update to the former revision, whose replicas stay', () => {
    const given = serving(3).after(update('s', 1), placeIt, ...readied(4))
    expect(replicas(given)).toEqual(['(1r1)', '2r1', '3r1', '4r2', '5r2'])
    given
      .when(update('s', 2, { revision: 1 }))
      .thenEvents(
        { type: 'UpdateStarted', revision: 1, fromRevision: 1 },
        { type: 'ReplicaRemoved', gang: 5 },
        { type: 'ReplicasAdded', gangs: [6] },
      )
    given.after(placeIt, up('s', 6))
    given
      .when(probed('s', 6, true))
      .thenEvents(
        { type: 'ReplicaReady' },
        { type: 'ReplicaDraining', gang: 4 },
        { type: 'UpdateFinished', number: 2 },
      )
  })

  it('keeps up with the scale, and gives it what is known to work', () => {
    const given = serving(2).after(update('s', 1), placeIt)
    given
      .when(resize('s', 4))
      .thenEvents({ type: 'ScaleChanged' }, { type: 'ReplicasAdded', gangs: [4, 5] })
    expect(replicas(given)).toEqual(['1r1', '2r1', '3r2', '4r1', '5r1'])
    given.after(placeIt, ...readied(3))
    // The ones that serve nobody yet go first.
    expect(replicas(given)).toEqual(['1r1', '2r1', '3r2', '5r1', '6r2'])
    given.after(resize('s', 1, { expectedVersion: 2 }), placeIt)
    expect(replicas(given)).toEqual(['(1r1)', '(2r1)', '3r2'])
    expect(now(given)).toEqual({ at: 'Done', updated: 1, outdated: 0 })
  })

  it('ends with its service', () => {
    const given = serving(1).after(update('s', 1), placeIt, cancel('s'))
    expect(given.state.rolling.size).toBe(0)
    given.when(update('s', 2)).thenRefused('JOB_FINISHED')
    given.when(startupOver('s', 2)).thenNothing()
  })
})

describe('a revision that does not become ready', () => {
  const trying = () => serving(2).after(update('s', 1), placeIt)

  it('stalls the update after its deadline, and the old ones go on', () => {
    const given = trying()
    const outcome = given.when(up('s', 3))
    const timers = [{ key: 'startup:s:1:3', dueMs: AT + 60_000 }]
    expect(outcome.accepted[0]?.timers).toEqual(timers)
    given
      .when(commandOfTimer('startup:s:1:3'))
      .thenEvents(
        { type: 'UpdateStalled', number: 1 },
        { type: 'GangReleased', gang: 3, cause: 'DRAINED' },
        { type: 'ReplicaRemoved', gang: 3 },
      )
    expect(replicas(given)).toEqual(['1r1', '2r1'])
    expect(now(given)).toEqual({ at: 'Stalled', updated: 0, outdated: 2 })
    const told = 'UPDATE_STALLED: replica 3 of revision 2 was not ready 60000 ms after its start'
    expect(sentence(given)).toBe(told)
    // What is added now is what works.
    given
      .when(resize('s', 3))
      .thenEvents(
        { type: 'ScaleChanged' },
        { type: 'ReplicasAdded', gangs: [4] },
        { type: 'GangPlaced', gang: 4 },
      )
    given
      .when(update('s', 2, { revision: 3 }))
      .thenEvents(
        { type: 'UpdateStarted', revision: 3, fromRevision: 1 },
        { type: 'ReplicasAdded', gangs: [5], revision: 3 },
      )
  })

  it('stalls it when its replicas fail again and again', () => {
    const given = trying()
    for (const generation of [1, 2]) given.after(failing(3, generation))
    given
      .when(failing(3, 3))
      .thenEvents(
        { type: 'GangReleased' },
        { type: 'JobRecovering' },
        { type: 'UpdateStalled' },
        { type: 'ReplicaRemoved', gang: 3 },
      )
    expect(replicas(given)).toEqual(['1r1', '2r1'])
  })

  it('stops it also later, with what is ready by then', () => {
    const given = trying().after(...readied(3), placeIt, up('s', 4))
    expect(replicas(given)).toEqual(['(1r1)', '2r1', '3r2', '4r2'])
    given
      .when(startupOver('s', 4))
      .thenEvents(
        { type: 'UpdateStalled' },
        { type: 'GangReleased', gang: 4 },
        { type: 'ReplicaRemoved', gang: 4 },
      )
    expect(now(given)).toEqual({ at: 'Stalled', updated: 1, outdated: 1 })
  })

  it('is left alone when it was ready, failed meanwhile or is on its way out', () => {
    const given = trying().after(...readied(3), placeIt)
    given.when(startupOver('s', 3)).thenNothing()
    given.when(startupOver('s', 1)).thenNothing()
    given.when(startupOver('s', 9)).thenNothing()
    const again = trying().after(failing(3, 1))
    again.when(startupOver('s', 3)).thenNothing()
  })

  it('goes with its service when it is given up', () => {
    const given = trying()
    given.after({ ...giveUp('s', 1), gang: 3 } as SchedulerCommand)
    expect(explainJob(given.state, 's')?.state).toBe('Failed')
    expect(given.state.rolling.size).toBe(0)
  })
})

describe('an update that is asked for', () => {
  it('is refused where it can mean nothing', () => {
    const before = spec(schedulerDecider)
    before.when(update('s', 1)).thenRefused('JOB_NOT_FOUND')
    const given = serving(1).after(enqueue('a'))
    given.when(update('a', 1)).thenRefused('NOT_UPDATABLE')
    for (const words of [
      { revision: 0 },
      { maxSurge: 0 },
      { drainMs: -1 },
      { startupDeadlineMs: 0 },
      { maxUnavailable: 1.5 },
    ]) {
      given.when(update('s', 1, words)).thenRefused('INVALID_SPEC')
    }
  })

  it('is the same one when it comes again, and an older one is nobody’s', () => {
    const given = serving(1).after(update('s', 2), placeIt)
    given.when(update('s', 2)).thenNothing()
    given.when(update('s', 1, { revision: 7 })).thenNothing()
  })

  it('survives a snapshot', () => {
    const given = serving(2).after(update('s', 1), placeIt, up('s', 3))
    const json = JSON.stringify(at2.toJson(given.state))
    const copy = at2.fromJson(JSON.parse(json))
    expect(JSON.stringify(at2.toJson(copy))).toBe(json)
    expect([...copy.rolling]).toEqual(['s'])
  })
})
