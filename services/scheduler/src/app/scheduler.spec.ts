import {
  GangPlaced,
  GangReleased,
  JobStateChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import {
  CreateQueueRequest,
  GangRequest,
  GiveUpRequest,
  JobRequest,
  RecoverRequest,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import type { RpcError } from '@serverless-ai/kernel'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toJson } from '../core/json.ts'
import { Stage } from '../testing/stage.ts'

let stage: Stage

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  try {
    await stage.run(promise)
    return 'no failure'
  } catch (error) {
    return `${(error as RpcError).code} ${(error as RpcError).reason}`
  }
}

function createQueue(name: string, tenant: string, requestId = stage.requestId()) {
  const request = CreateQueueRequest.fromPartial({ requestId, queue: { name, tenant } })
  return stage.queues.createQueue(request, stage.by('admin'))
}

function jobRequest(jobId: string, tasks: number): JobRequest {
  const perTask = { devices: 1, cpuMillis: 100n, memoryMib: 100n }
  const gang = GangRequest.fromPartial({ tasks, perTask, rank0Ports: 1 })
  const base = JobRequest.fromPartial({ jobId, tenant: 'team', queue: 'q', name: jobId })
  return { ...base, gangs: [gang] }
}

function enqueue(jobId: string, tasks: number) {
  return stage.run(stage.rpc.enqueue({ job: jobRequest(jobId, tasks) }, stage.by('service')))
}

function explain(jobId: string, atPosition = '', who = stage.by({ tenant: 'team' })) {
  return stage.run(stage.rpc.explain({ jobId, atPosition, minPosition: '' }, who))
}

const stateIs = (jobId: string, state: string) =>
  stage.until(async (runtime) => {
    const { value } = await runtime.read((all) => all.jobs.get(jobId)?.phase.at)
    return value === state
  })
const nodesAre = (count: number) =>
  stage.until(async (runtime) => {
    const { value } = await runtime.read((all) => all.fleet.readyNodes)
    return value === count
  })

beforeEach(async () => {
  stage = new Stage()
  await stage.start()
  await stage.run(createQueue('q', 'team'))
  for (const nodeId of ['n1', 'n2', 'n3']) await stage.nodeChanged(nodeId, 2)
  await nodesAre(3)
})
afterEach(() => stage.stop())

describe('the scheduler on its log', () => {
  it('runs one of two gangs and explains the other to its tenant', async () => {
    await enqueue('a', 4)
    await enqueue('b', 4)
    const waiting = await explain('b')
    expect(waiting).toMatchObject({ state: 'Queued', generation: 0, queuePosition: 1 })
    expect(waiting.reason?.shortfalls[0]).toMatchObject({ want: 4n, free: 2n, total: 6n })
    expect((await explain('a')).story.map(({ code }) => code)).toEqual(['QUEUED', 'PLACED'])
  })

  it('hides the jobs of others', async () => {
    await enqueue('a', 1)
    const other = stage.by({ tenant: 'other' })
    expect(await reasonOf(explain('a', '', other))).toBe('NOT_FOUND JOB_NOT_FOUND')
    expect(await reasonOf(explain('x'))).toBe('NOT_FOUND JOB_NOT_FOUND')
    expect(await explain('a', '', stage.by('admin'))).toMatchObject({ state: 'Admitted' })
  })

  it('follows a job to its end and publishes what others need', async () => {
    await enqueue('a', 2)
    for (const rank of [0, 1]) await stage.taskStarted('a', 1, rank)
    await stateIs('a', 'Running')
    await stage.taskReported('a', 1, { rank: 0, json: '{"accuracy":0.97}' })
    for (const rank of [0, 1]) await stage.taskExited('a', 1, { rank, exitCode: 0 })
    await stateIs('a', 'Succeeded')
    await stage.until(async () => stage.published().some(({ type }) => type === 'GangReleased'))
    const published = stage.published()
    const states = published
      .filter(({ type }) => type === 'JobStateChanged')
      .map(({ payload }) => JobStateChanged.decode(payload))
    const names = states.map(({ state }) => state)
    expect(names).toEqual(['Queued', 'Admitted', 'Starting', 'Running', 'Succeeded'])
    expect(states.at(-1)?.resultJson).toBe('{"accuracy":0.97}')
    const placed = published.find(({ type }) => type === 'GangPlaced')!
    expect(GangPlaced.decode(placed.payload)).toMatchObject({
      jobId: 'a',
      generation: 1,
      nodes: ['n1'],
      nodeOfRank: [0, 0],
      deviceIndexes: [0, 1],
      rank0Ports: [20_000],
      masterAddress: '127.0.0.1',
      nodeEmulated: [true],
      perTask: { devices: 1, cpuMillis: 100n, memoryMib: 100n },
    })
    const released = published.find(({ type }) => type === 'GangReleased')!
    expect(GangReleased.decode(released.payload).cause).toBe('FINISHED')
  })

  it('does not take a bad end for a good one', async () => {
    await enqueue('a', 1)
    await stage.taskStarted('a', 1, 0)
    await stage.taskExited('a', 1, { rank: 0, exitCode: 1 })
    await stage.taskStarted('a', 1, 0)
    await stateIs('a', 'Running')
    expect((await explain('a')).state).toBe('Running')
  })

  it('recovers after a back-off, by its timer', async () => {
    await enqueue('a', 1)
    const plan = {
      incidentId: 'i-1',
      checkpointPath: '/c/1',
      checkpointStep: 7n,
      notBeforeMs: BigInt(Math.floor(stage.ports.clock.wallMs()) + 5_000),
      cause: 'node lost',
    }
    const request = RecoverRequest.fromPartial({ jobId: 'a', expectedGeneration: 1, plan })
    await stage.run(stage.rpc.recover(request, stage.by('service')))
    expect((await explain('a')).reason).toMatchObject({ untilMs: plan.notBeforeMs, jobsAhead: 0 })
    await stateIs('a', 'Admitted')
    expect(await explain('a')).toMatchObject({ generation: 2 })
    const stale = stage.rpc.recover(
      { ...request, plan: { ...request.plan!, incidentId: 'i-2' } },
      stage.by('service'),
    )
    expect(await reasonOf(stale)).toBe('FAILED_PRECONDITION STALE_GENERATION')
    const giveUp = GiveUpRequest.fromPartial({ jobId: 'a', expectedGeneration: 2, cause: 'no' })
    await stage.run(stage.rpc.giveUp(giveUp, stage.by('service')))
    expect((await explain('a')).state).toBe('Failed')
  })

  it('tells the story at a past position', async () => {
    await enqueue('a', 6)
    await enqueue('b', 1)
    const then = (await explain('b')).position
    const cancelled = { jobId: 'a', requestedBy: 'token:team' }
    await stage.run(stage.rpc.cancel(cancelled, stage.by('service')))
    await stage.devicesFreed('a', 1, [0])
    await stateIs('b', 'Admitted')
    const past = await explain('b', then)
    expect(past).toMatchObject({ state: 'Queued', queuePosition: 1, position: then })
    const now = await explain('b')
    expect(now).toMatchObject({ state: 'Admitted', reason: undefined })
    // Each entry of a story names a position at which it can be looked at.
    const { position } = now.story.find(({ code }) => code === 'PLACED')!
    expect(await explain('b', position)).toMatchObject({ state: 'Admitted', generation: 1 })
    expect(await reasonOf(explain('b', 'mediator:0:1:1'))).toContain('POSITION_INVALID')
    expect(await reasonOf(explain('b', 'scheduler:0:99999:0'))).toContain('OUT_OF_RANGE')
  })

  it('is the same after a restart', async () => {
    await enqueue('a', 4)
    await enqueue('b', 4)
    const json = () => stage.run(stage.scheduler.read((state) => toJson(state)))
    const before = await json()
    const told = await explain('b')
    await stage.restart()
    expect((await json()).value).toEqual(before.value)
    expect((await explain('b')).reason).toEqual(told.reason)
  })

  it('shows a newcomer all it must see', async () => {
    await enqueue('a', 4)
    await enqueue('b', 4)
    await stage.run(stage.rpc.cancel({ jobId: 'a', requestedBy: '' }, stage.by('service')))
    const page = { types: [], pageSize: 100, pageToken: '' }
    const { events } = await stage.run(stage.scheduler.feedSnapshot(page))
    const names = events.map(({ type, key }) => `${type.split('.').at(-1)} ${key}`)
    expect(names).toEqual([
      'QueueChanged q',
      // Released, and its devices are not free yet.
      'GangPlaced a',
      'GangReleased a',
      'JobStateChanged a',
      'JobStateChanged b',
    ])
  })
})

describe('queues', () => {
  it('are made once per request id', async () => {
    const id = stage.requestId()
    const first = await stage.run(createQueue('r', 'team', id))
    expect(first.queue).toMatchObject({ name: 'r', weight: 1, priority: 0 })
    expect(await stage.run(createQueue('r', 'team', id))).toEqual(first)
    expect(await reasonOf(createQueue('s', 'team', id))).toBe('ALREADY_EXISTS REQUEST_ID_REUSED')
    expect(await reasonOf(createQueue('r', 'team'))).toBe('ALREADY_EXISTS QUEUE_EXISTS')
    expect(await reasonOf(createQueue('R', 'team'))).toBe('INVALID_ARGUMENT INVALID_QUEUE')
  })

  it('are listed in pages, a tenant sees its own', async () => {
    await stage.run(createQueue('p', 'other'))
    await stage.run(createQueue('r', 'team'))
    await enqueue('a', 2)
    const list = (who = stage.by('admin'), pageToken = '') =>
      stage.run(stage.queues.listQueues({ pageSize: 2, pageToken, minPosition: '' }, who))
    const all = await list()
    expect(all.queues.map(({ queue }) => queue?.name)).toEqual(['p', 'q'])
    expect(all.queues[1]).toMatchObject({ runningJobs: 1, queuedJobs: 0, used: { devices: 2 } })
    const rest = await list(stage.by('admin'), all.nextPageToken)
    expect(rest.queues.map(({ queue }) => queue?.name)).toEqual(['r'])
    expect(rest.nextPageToken).toBe('')
    const own = await list(stage.by({ tenant: 'other' }))
    expect(own.queues.map(({ queue }) => queue?.name)).toEqual(['p'])
  })
})

describe('advice', () => {
  const validate = (request: JobRequest) =>
    stage.rpc.validate({ job: request }, stage.by('service'))

  it('says what would make a job wait, and refuses what never fits', async () => {
    expect(await stage.run(validate(jobRequest('', 4)))).toEqual({ waiting: undefined })
    await enqueue('a', 4)
    const { waiting } = await stage.run(validate(jobRequest('', 4)))
    expect(waiting?.shortfalls[0]).toMatchObject({ want: 4n, free: 2n })
    expect(await reasonOf(validate(jobRequest('', 7)))).toBe('FAILED_PRECONDITION NO_MATCHING_NODE')
    const one = jobRequest('', 1)
    const two = { ...one, gangs: [...one.gangs, ...one.gangs] }
    expect(await reasonOf(validate(two))).toBe('INVALID_ARGUMENT INVALID_SPEC')
    const elsewhere = { ...jobRequest('', 1), queue: 'nowhere' }
    expect(await reasonOf(validate(elsewhere))).toBe('NOT_FOUND UNKNOWN_QUEUE')
  })
})
