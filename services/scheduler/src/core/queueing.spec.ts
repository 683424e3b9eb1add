import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import {
  cancel,
  enqueue,
  freed,
  job,
  node,
  placedJobs,
  queue,
  recover,
  schedulerDecider,
} from '../testing/commands.ts'
import { assessJob, explainJob } from './explain.ts'

const fresh = () => spec(schedulerDecider).after(queue('q'))
/** Three nodes with two devices each. */
const six = () => fresh().after(node('n1'), node('n2'), node('n3'))

describe('two gangs of four on six devices', () => {
  const given = () => six().after(enqueue('a', { tasks: 4 }))

  it('runs one; the other says why it waits, with numbers', () => {
    const { events } = given().when(enqueue('b', { tasks: 4 }))
    expect(events).toMatchObject([
      { type: 'JobQueued' },
      {
        type: 'ClassReasonChanged',
        codeChanged: true,
        reason: {
          code: 'GANG_INCOMPLETE',
          nodesTotal: 3,
          nodesFiltered: 0,
          shortfalls: [
            { dimension: 'devices', want: 4, free: 2, total: 6 },
            { dimension: 'tasks', want: 4, free: 2, total: 4 },
          ],
        },
      },
    ])
  })

  it('lets the other go when the first is gone, never a part of it before', () => {
    const later = given().after(enqueue('b', { tasks: 4 }), cancel('a'))
    // Half of the devices are back: still not enough.
    expect(placedJobs(later.when(freed('a', 1, 0)).events)).toEqual([])
    expect(placedJobs(later.when(freed('a', 1, 1)).events)).toEqual(['b'])
  })

  it('updates the numbers when they change, and says nothing when they do not', () => {
    const later = given().after(enqueue('b', { tasks: 4 }), cancel('a'))
    const { reason, codeChanged } = later.when(freed('a', 1, 0)).the('ClassReasonChanged')
    expect(codeChanged).toBe(false)
    expect(reason.shortfalls[0]).toMatchObject({ want: 4, free: 3 })
    later.when({ type: 'ContinueRound' }).thenNothing()
  })

  it('tells place in the queue and who is ahead', () => {
    const later = given().after(enqueue('b', { tasks: 4 }), enqueue('c', { tasks: 4 }))
    const told = explainJob(later.state, 'c')
    expect(told).toMatchObject({ state: 'Queued', queuePosition: 2, generation: 0 })
    expect(told?.story.at(-1)?.details).toMatchObject({
      reason: 'GANG_INCOMPLETE',
      'devices.want': '4',
      'devices.free': '2',
      ahead: 'b',
      jobsAhead: '1',
    })
  })
})

describe('order', () => {
  it('lets a small job pass a big one that does not fit', () => {
    const given = six().after(enqueue('a', { tasks: 4 }), enqueue('big', { tasks: 4 }))
    expect(placedJobs(given.when(enqueue('small')).events)).toEqual(['small'])
  })

  it('takes priority before submission inside a queue', () => {
    const given = six().after(enqueue('a', { tasks: 6 }))
    given.after(enqueue('low'), enqueue('high', { priority: 5 }), cancel('a'))
    expect(placedJobs(given.when(freed('a', 1, 0)).events)).toEqual(['high'])
  })

  it('takes queues by priority, then by their share over their weight', () => {
    const queues = [queue('first', { priority: 1 }), queue('heavy', { weight: 3 }), queue('light')]
    const given = spec(schedulerDecider).after(...queues, node('n', { devices: 8 }))
    const jobs = ['light', 'heavy', 'first'].flatMap((name) =>
      [1, 2, 3, 4].map((n) => enqueue(`${name}${n}`, { queue: name })),
    )
    const { events } = given.when(...jobs)
    const placed = placedJobs(events)
    expect(placed.slice(0, 4)).toEqual(['first1', 'first2', 'first3', 'first4'])
    expect(placed.filter((name) => name.startsWith('heavy'))).toHaveLength(3)
    expect(placed.filter((name) => name.startsWith('light'))).toHaveLength(1)
  })

  it('lets a recovering gang go ahead of all others of its queue', () => {
    const given = six().after(enqueue('a', { tasks: 6 }), enqueue('b', { priority: 9 }))
    given.after(recover('a', 1, { notBeforeMs: 2_000_000 }))
    given.after(freed('a', 1, 0, 1, 2, 3, 4, 5)).after(cancel('b'))
    given.after(freed('b', 1, 0), node('n3', { state: 'Disconnected' }))
    given.after(enqueue('c', { tasks: 5, waitForCapacity: true, priority: 9 }))
    given.at(2_000_000).after({ type: 'EndBackoff', jobId: 'a', generation: 1 })
    expect(placedJobs(given.when(node('n3')).events)).toEqual(['a'])
  })
})

describe('quota', () => {
  const limited = queue('q', { maximum: { devices: 3, cpuMillis: 0, memoryMib: 0 } })
  const given = () => spec(schedulerDecider).after(limited, node('n', { devices: 8 }))

  it('waits with QUOTA_WAIT while others hold the maximum', () => {
    const { reason } = given()
      .after(enqueue('a', { tasks: 2 }))
      .when(enqueue('b', { tasks: 2 }))
      .the('ClassReasonChanged')
    expect(reason).toMatchObject({
      code: 'QUOTA_WAIT',
      shortfalls: [{ dimension: 'devices', want: 2, free: 1, total: 3 }],
    })
  })

  it('goes on when a job ends, before its devices are back', () => {
    const later = given().after(enqueue('a', { tasks: 2 }), enqueue('b', { tasks: 2 }))
    expect(placedJobs(later.when(cancel('a')).events)).toEqual(['b'])
  })

  it('refuses a gang above the maximum, or lets it wait if it wants to', () => {
    given()
      .when(enqueue('a', { tasks: 4 }))
      .thenRefused('EXCEEDS_QUEUE_MAX')
    const { reason } = given()
      .when(enqueue('a', { tasks: 4, waitForCapacity: true }))
      .the('ClassReasonChanged')
    expect(reason.code).toBe('EXCEEDS_QUEUE_MAX')
  })
})

describe('refusals', () => {
  it.each([
    ['UNKNOWN_QUEUE', { queue: 'other' }],
    ['UNKNOWN_QUEUE', { tenant: 'other' }],
    ['INVALID_SPEC', { tasks: 0 }],
    ['INVALID_SPEC', { tasks: 1.5 }],
    ['INVALID_SPEC', { tasks: 16_385 }],
    ['INVALID_SPEC', { cpuMillis: -1 }],
    ['INVALID_SPEC', { priority: 1_001 }],
    ['INVALID_SPEC', { tasks: 300, devices: 300 }],
    ['NO_MATCHING_NODE', { tasks: 7 }],
    ['NO_MATCHING_NODE', { devices: 3 }],
    ['NO_MATCHING_NODE', { deviceModels: ['gpu*'] }],
    ['NO_MATCHING_NODE', { cpuMillis: 16_001 }],
    ['NO_MATCHING_NODE', { rank0Ports: 11 }],
  ])('%s for %o', (reason, words) => {
    six().when(enqueue('a', words)).thenRefused(reason)
  })

  it('names the nearest miss of a gang larger than the fleet', () => {
    const { refusals } = six().when(enqueue('a', { tasks: 4, devices: 2 }))
    expect(refusals[0]?.details).toMatchObject({
      reason: {
        code: 'NO_MATCHING_NODE',
        shortfalls: [
          { dimension: 'tasks', want: 4, free: 3, total: 3 },
          { dimension: 'devices', want: 8, free: 6, total: 6 },
        ],
      },
    })
  })

  it('looks again when the fleet has changed', () => {
    const given = six()
    given.when(enqueue('a', { tasks: 7 })).thenRefused('NO_MATCHING_NODE')
    given.after(node('n4'))
    expect(placedJobs(given.when(enqueue('a', { tasks: 7 })).events)).toEqual(['a'])
  })

  it('waits for nodes when none is ready: capacity is unknown then', () => {
    const { reason } = fresh()
      .when(enqueue('a', { tasks: 100 }))
      .the('ClassReasonChanged')
    expect(reason).toMatchObject({ code: 'CAPACITY_WAIT', nodesTotal: 0 })
    const away = fresh().after(node('n1', { state: 'Disconnected' }), enqueue('a', { tasks: 100 }))
    const { reason: known } = away.when(node('n1')).the('ClassReasonChanged')
    expect(known.code).toBe('NO_MATCHING_NODE')
  })

  it('takes the same job again without a word', () => {
    six().after(enqueue('a')).when(enqueue('a')).thenNothing()
  })

  it('lets a finished queue name be used once', () => {
    fresh().when(queue('q')).thenRefused('QUEUE_EXISTS', { queue: 'q' })
    fresh().when(queue('Q!')).thenRefused('INVALID_QUEUE', { field: 'name' })
    fresh()
      .when(queue('r', { weight: 0 }))
      .thenRefused('INVALID_QUEUE', { field: 'weight' })
  })
})

describe('a round that the runtime drops', () => {
  it('is decided anew beside the next commands', () => {
    const given = spec(schedulerDecider).after(queue('q'), node('n', { devices: 4 }))
    const { state } = given
    const context = { atMs: 1, nonce: '' }
    for (const jobId of ['a', 'b']) {
      const decision = schedulerDecider.decide(enqueue(jobId, { tasks: 4 }), state, context)
      if (decision.accepted) given.given(...decision.events)
    }
    const dropped = schedulerDecider.afterBatch?.(state, context)
    expect(placedJobs(dropped?.events ?? [])).toEqual(['a'])
    // What did not fit beside a fits without it.
    expect(placedJobs(given.when(cancel('a')).events)).toEqual(['b'])
  })
})

describe('advice', () => {
  it('says whether a job could start at once, and changes nothing', () => {
    const { state } = six().after(enqueue('a', { tasks: 4 }))
    const before = JSON.stringify(schedulerDecider.toJson(state))
    expect(assessJob(state, job('x', { tasks: 2 }))).toBeUndefined()
    expect(assessJob(state, job('x', { tasks: 3 }))?.code).toBe('GANG_INCOMPLETE')
    expect(JSON.stringify(schedulerDecider.toJson(state))).toBe(before)
  })
})
