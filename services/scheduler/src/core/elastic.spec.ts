import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { ended, enqueue, freed, node, queue, recover, started } from '../testing/commands.ts'
import { elastic, resize } from '../testing/service-words.ts'
import { schedulerDecider } from './decider.ts'
import { scaleNow } from './scale.ts'
import type { SchedulerState } from './state.ts'

const AT = 1_000_000
const at2 = { ...schedulerDecider }
at2.decide = (command, state, context) =>
  schedulerDecider.decide(command, state, { ...context, featureLevel: 2 })

const cell = (devices = 4) => spec(at2).after(queue('q'), node('n1', { devices }))
const running = (devices = 4) => cell(devices).after(elastic('a'), started('a', 1, 0, 1))
const granted = (given: { state: SchedulerState }) => scaleNow(given.state, 'a')?.granted
const placed = (given: { state: SchedulerState }) => given.state.jobs.get('a')?.generation

describe('an elastic job', () => {
  it('is placed with as many tasks as fit', () => {
    const given = cell(3)
    given.after(elastic('a', { tasks: 4 }))
    expect(granted(given)).toBe(3)
    expect(scaleNow(given.state, 'a')).toMatchObject({ unit: 'Tasks', min: 1, max: 4 })
    expect(given.state.queues.get('q')?.used.devices).toBe(3)
    const small = spec(at2).after(queue('q'), node('n1', { devices: 1 }))
    small.when(elastic('b', { minTasks: 2, tasks: 2 })).thenRefused('NO_MATCHING_NODE')
  })

  it('keeps to the maximum of its queue', () => {
    const maximum = { devices: 2, cpuMillis: 0, memoryMib: 0 }
    const given = spec(at2).after(queue('q', { maximum }), node('n1', { devices: 8 }))
    given.after(elastic('a', { tasks: 4 }))
    expect(granted(given)).toBe(2)
    // There is no more for it: nothing is stopped for that.
    given.when(resize('a', 4)).thenEvents({ type: 'ScaleChanged', wanted: 4 })
  })

  it('writes a checkpoint before it changes its size, and goes on from it', () => {
    const given = running()
    const outcome = given.when(resize('a', 4))
    outcome.thenEvents(
      { type: 'ScaleChanged', wanted: 4 },
      { type: 'CheckpointRequested', generation: 1, tasks: 4, deadlineMs: AT + 10_000 },
    )
    const { noticeId } = outcome.the('CheckpointRequested')
    expect(placed(given)).toBe(1)
    const plan = { incidentId: noticeId, checkpointPath: 'a/gen-1/7', checkpointStep: 7 }
    given
      .when(recover('a', 1, plan))
      .thenEvents(
        { type: 'GangReleased', cause: 'RESIZE', throughGeneration: 1 },
        { type: 'JobRecovering' },
        { type: 'JobReasonChanged', reason: { code: 'DEPENDENCY_WAIT' } as never },
      )
    // It gets what it held itself, and what is free beside it.
    given
      .when(freed('a', 1, 0, 1))
      .thenEvents({ type: 'RanksFreed' }, { type: 'GangPlaced', generation: 2, checkpointStep: 7 })
    expect(granted(given)).toBe(4)
  })

  it('grows by what is free and by what it has itself', () => {
    const given = cell(4).after(elastic('a'), enqueue('b'), started('a', 1, 0, 1))
    given
      .when(resize('a', 4))
      .thenEvents({ type: 'ScaleChanged', wanted: 4 }, { type: 'CheckpointRequested', tasks: 3 })
    const full = cell(2).after(elastic('a'), started('a', 1, 0, 1))
    full.when(resize('a', 4)).thenEvents({ type: 'ScaleChanged', wanted: 4 })
    expect(JSON.stringify(at2.toJson(full.state))).toContain('"wanted":4')
  })

  it('changes its size at most once per cooldown', () => {
    const given = running().after(resize('a', 1))
    const again = resize('a', 4, { expectedVersion: 2 })
    given
      .at(AT + 59_999)
      .when(again)
      .thenRefused('RESIZE_COOLDOWN', { untilMs: AT + 60_000 })
    given
      .at(AT + 60_000)
      .when(again)
      .thenEvents({ type: 'ScaleChanged' }, { type: 'CheckpointRequested' })
  })

  it('takes another size at once while it waits', () => {
    const given = cell(2).after(enqueue('b'), elastic('a', { tasks: 2, minTasks: 2 }))
    given.when(resize('b', 4)).thenRefused('NOT_SCALABLE')
    // No wait for a checkpoint, no cooldown: nothing of it runs.
    given.after(resize('a', 4), resize('a', 3, { expectedVersion: 2 }))
    expect(granted(given)).toBe(0)
    given.after(node('n2'))
    expect(granted(given)).toBe(3)
  })

  it('is recovered with fewer tasks when a node is gone', () => {
    const given = spec(at2).after(queue('q'), node('n1'), node('n2'))
    given.after(elastic('a', { tasks: 4 }), started('a', 1, 0, 1, 2, 3))
    given.after({ type: 'ObserveNodeLost', nodeId: 'n2' }, freed('a', 1, 0, 1))
    given
      .when(recover('a', 1))
      .thenEvents({ type: 'GangReleased' }, { type: 'JobRecovering' }, { type: 'GangPlaced' })
    expect(granted(given)).toBe(2)
    expect(scaleNow(given.state, 'a')?.state.wanted).toBe(4)
    given.after(started('a', 2, 0, 1), ended('a', 2, 0, 1))
    expect(given.state.jobs.get('a')?.phase.at).toBe('Succeeded')
    expect(given.state.queues.get('q')?.used.devices).toBe(0)
  })
})
