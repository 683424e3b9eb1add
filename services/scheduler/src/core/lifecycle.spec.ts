import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import {
  cancel,
  ended,
  enqueue,
  freed,
  giveUp,
  node,
  queue,
  recover,
  schedulerDecider,
  started,
} from '../testing/commands.ts'
import { explainJob } from './explain.ts'

const three = () => spec(schedulerDecider).after(queue('q'), node('n1'), node('n2'), node('n3'))
const running = (words = {}) =>
  three().after(enqueue('a', { tasks: 4, rank0Ports: 1, ...words }), started('a', 1, 0, 1, 2, 3))
const phaseOf = (given: { state: ReturnType<typeof schedulerDecider.initial> }, jobId = 'a') =>
  given.state.jobs.get(jobId)?.phase.at

describe('a job that goes well', () => {
  it('is admitted, starting, running and succeeded', () => {
    const given = three().after(enqueue('a', { tasks: 2 }))
    expect(phaseOf(given)).toBe('Admitted')
    given.when(started('a', 1, 0)).thenEvents({ type: 'TasksObserved', phase: 'Starting' })
    given.when(started('a', 1, 1)).thenEvents({ type: 'TasksObserved', phase: 'Running' })
    given.when(ended('a', 1, 0)).thenEvents({ type: 'TasksObserved', phase: '' })
    given
      .when(ended('a', 1, 1))
      .thenEvents(
        { type: 'TasksObserved' },
        { type: 'GangReleased', throughGeneration: 1, cause: 'FINISHED' },
        { type: 'JobSucceeded' },
      )
    expect(phaseOf(given)).toBe('Succeeded')
    const codes = explainJob(given.state, 'a')?.story.map(({ code }) => code)
    expect(codes).toEqual(['QUEUED', 'PLACED', 'STARTING', 'RUNNING', 'RELEASED', 'SUCCEEDED'])
  })

  it('keeps the last result of rank 0', () => {
    const given = running()
    const result = (json: string, rank = 0, generation = 1) =>
      ({ type: 'ObserveResult', jobId: 'a', generation, rank, json }) as const
    given.after(result('{"accuracy":0.5}'), result('{"accuracy":0.9}'))
    given.when(result('{"accuracy":1}', 1)).thenNothing()
    given.when(result('{"accuracy":1}', 0, 2)).thenNothing()
    expect(given.state.jobs.get('a')?.result).toBe('{"accuracy":0.9}')
  })

  it('does not mind news that come twice, late or of ranks that do not exist', () => {
    const given = running()
    given.when(started('a', 1, 0)).thenNothing()
    given.when(started('a', 1, 99)).thenNothing()
    given.when(started('a', 2, 0)).thenNothing()
    given.when(freed('a', 7, 0)).thenNothing()
    given
      .after(ended('a', 1, 0, 1, 2, 3))
      .when(ended('a', 1, 0))
      .thenNothing()
  })
})

describe('placement of a gang', () => {
  it('uses few nodes, neighbouring ranks, and ports of the first node', () => {
    const placed = three()
      .when(enqueue('a', { tasks: 4, rank0Ports: 2 }))
      .the('GangPlaced')
    expect(placed).toMatchObject({
      generation: 1,
      nodes: ['n1', 'n2'],
      tasksOnNode: [2, 2],
      deviceIndexes: [0, 1, 0, 1],
      rank0Ports: [20_000, 20_001],
      masterAddress: 'n1.local',
      nodeEmulated: [true, true],
    })
  })

  it('gives other ports to the next generation', () => {
    const given = running().after(recover('a', 1))
    const { rank0Ports } = given.when(freed('a', 1, 0, 1, 2, 3)).the('GangPlaced')
    expect(rank0Ports).toEqual([20_001])
  })

  it('places on ready nodes only, and keeps what is held when a node goes and comes', () => {
    const given = running().after(node('n1', { state: 'Disconnected' }))
    given.after({ type: 'ObserveNodeLost', nodeId: 'n1' }, node('n1'))
    const { reason } = given.when(enqueue('b', { tasks: 4 })).the('ClassReasonChanged')
    expect(reason.shortfalls[0]).toMatchObject({ want: 4, free: 2, total: 6 })
  })

  it('avoids nodes where there is another way, else not', () => {
    const given = three().after(enqueue('a'), recover('a', 1, { avoidNodes: ['n1'] }))
    expect(given.state.holdings.get('a/0/2')?.nodes).toEqual([1])
    given.after(recover('a', 2, { avoidNodes: ['n1', 'n2', 'n3'] }))
    expect(phaseOf(given)).toBe('Admitted')
  })
})

describe('recovery', () => {
  it('releases the generation and places the next one with the checkpoint', () => {
    const given = running()
    const plan = { checkpointPath: '/c/1/40', checkpointStep: 40, restartsCharged: 2 }
    given
      .when(recover('a', 1, plan))
      .thenEvents(
        { type: 'GangReleased', throughGeneration: 1, cause: 'RECOVER' },
        { type: 'JobRecovering', generation: 1 },
        { type: 'JobReasonChanged' },
      )
    // Two devices are free, four are needed: the old ranks have to go first.
    const placed = given.when(freed('a', 1, 0, 1, 2, 3)).the('GangPlaced')
    expect(placed).toMatchObject({ generation: 2, ...plan })
  })

  it('refuses a stale generation and accepts the same call again', () => {
    const given = running().after(recover('a', 1), freed('a', 1, 0, 1, 2, 3))
    given.when(recover('a', 1)).thenNothing()
    given
      .when(recover('a', 1, { incidentId: 'other' }))
      .thenRefused('STALE_GENERATION', { expected: 1, current: 2 })
    given.when(recover('a', 3)).thenRefused('STALE_GENERATION', { expected: 3, current: 2 })
    given.when(giveUp('a', 1)).thenRefused('STALE_GENERATION')
  })

  it('ignores what an older generation still reports', () => {
    const given = running().after(recover('a', 1), freed('a', 1, 0, 1, 2, 3))
    given.when(ended('a', 1, 0, 1, 2, 3)).thenNothing()
    expect(given.state.jobs.get('a')?.generation).toBe(2)
  })

  it('waits for its back-off with a timer and says so', () => {
    const given = three().after(enqueue('a'))
    const { accepted } = given.when(recover('a', 1, { notBeforeMs: 1_005_000 }))
    expect(accepted[0]?.timers).toEqual([{ key: 'backoff:a:1', dueMs: 1_005_000 }])
    expect(explainJob(given.state, 'a')).toMatchObject({
      state: 'Recovering',
      reason: { code: 'BACKOFF', untilMs: 1_005_000 },
    })
    given.when({ type: 'EndBackoff', jobId: 'a', generation: 2 }).thenNothing()
    given
      .at(1_005_000)
      .when({ type: 'EndBackoff', jobId: 'a', generation: 1 })
      .thenEvents({ type: 'BackoffEnded' }, { type: 'GangPlaced', generation: 2 })
  })

  it('gives up once', () => {
    const given = running()
    given
      .when(giveUp('a', 1))
      .thenEvents(
        { type: 'GangReleased', cause: 'FAILED' },
        { type: 'JobFailed', code: 'USER_ERROR' },
      )
    given.when(giveUp('a', 1)).thenNothing()
    given.when(recover('a', 1)).thenRefused('JOB_FINISHED', { state: 'Failed' })
    given.when(cancel('a')).thenNothing()
  })

  it('ends its back-off when it is cancelled', () => {
    const given = three().after(enqueue('a'), recover('a', 1, { notBeforeMs: 1_005_000 }))
    expect(given.when(cancel('a')).accepted[0]?.cancelTimers).toEqual(['backoff:a:1'])
  })
})

describe('exclusive work', () => {
  const words = { exclusive: true, tasks: 2 }
  const given = () => three().after(enqueue('a', words), started('a', 1, 0, 1))

  it('waits until each older rank is freed', () => {
    const waiting = given()
    const { reason } = waiting.when(recover('a', 1)).the('JobReasonChanged')
    expect(reason).toMatchObject({
      code: 'DEPENDENCY_WAIT',
      shortfalls: [{ dimension: 'tasks', want: 2, free: 0, nodeId: 'n1' }],
    })
    waiting.when(freed('a', 1, 0)).thenEvents({ type: 'RanksFreed' }, { type: 'JobReasonChanged' })
    waiting.when(freed('a', 1, 1)).thenEvents({ type: 'RanksFreed' }, { type: 'GangPlaced' })
  })

  it('or its node is lost, not merely disconnected', () => {
    const waiting = given().after(recover('a', 1), node('n1', { state: 'Disconnected' }))
    expect(phaseOf(waiting)).toBe('Recovering')
    const lost = { type: 'ObserveNodeLost', nodeId: 'n1' } as const
    waiting.when(lost).thenEvents({ type: 'NodeLost' }, { type: 'GangPlaced', nodes: ['n2'] })
  })

  it('while other work goes on at once elsewhere', () => {
    const other = three().after(enqueue('a', { tasks: 2 }), started('a', 1, 0, 1))
    expect(other.when(recover('a', 1)).the('GangPlaced').nodes).toEqual(['n2'])
  })
})

describe('after a gap in the news of the pool manager', () => {
  it('catches up with what it missed and loses sight of nodes that are gone', () => {
    const given = three().after(enqueue('a', { tasks: 2 }), enqueue('b', { tasks: 2 }))
    const facts = given.state.fleet.facts.slice(0, 2)
    const news = (jobId: string, ranks: number[], type: 'ObserveTasks') =>
      ({ type, jobId, gang: 0, generation: 1, started: ranks, ended: ranks }) as const
    given
      .when({
        type: 'ReplacePool',
        nodes: facts,
        lost: [],
        tasks: [news('a', [0], 'ObserveTasks'), news('a', [1], 'ObserveTasks')],
        freed: [{ type: 'ObserveFreed', jobId: 'a', gang: 0, generation: 1, ranks: [1, 0, 1] }],
      })
      .thenEvents(
        { type: 'NodeLost', nodeId: 'n3' },
        { type: 'TasksObserved', started: [0, 1], ended: [0, 1], phase: 'Running' },
        { type: 'GangReleased', jobId: 'a' },
        { type: 'JobSucceeded', jobId: 'a' },
        { type: 'RanksFreed', ranks: [0, 1] },
      )
    expect(given.state.holdings.size).toBe(1)
  })
})

describe('a long life', () => {
  it('forgets the oldest finished jobs and keeps stories short', () => {
    const given = three()
    for (let i = 0; i < 1_010; i++)
      given.after(enqueue(`j${i}`), cancel(`j${i}`), freed(`j${i}`, 1, 0))
    expect(given.state.jobs.size).toBe(1_000)
    expect(given.state.jobs.has('j9')).toBe(false)
    given.after(enqueue('a'))
    for (let n = 1; n <= 100; n++) given.after(recover('a', n), freed('a', n, 0))
    const story = explainJob(given.state, 'a')?.story ?? []
    expect(story).toHaveLength(200)
    expect(story[0]?.code).toBe('QUEUED')
    expect(story.at(-1)).toMatchObject({ code: 'PLACED', details: { generation: '101' } })
  })
})
