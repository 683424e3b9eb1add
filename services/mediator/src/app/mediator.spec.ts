import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import {
  Job_State,
  ListJobsRequest,
  SubmitJobRequest,
  type WatchJobResponse,
} from '@serverless-ai/contracts/job/v1/job'
import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { uuidV7 } from '@serverless-ai/kernel'
import { beforeEach, describe, expect, test } from 'vitest'
import { mediatorDecider } from '../core/decider.ts'
import { MediatorWorld } from '../testing/world.ts'
import { JobChanges } from './changes.ts'
import { JobHandlers } from './jobs.ts'

const manifest = (more = '') => `apiVersion: serverlessai.job/v1
kind: Job
metadata: {name: digits}
spec:
  queue: vision
  tasks: 2
  command: [node, train.js]
${more}`

let world: MediatorWorld
beforeEach(async () => {
  world = new MediatorWorld()
  await world.start()
})

const submit = (tenant: string, more: Partial<SubmitJobRequest> = {}) =>
  world
    .client(tenant)
    .submitJob({ ...SubmitJobRequest.fromPartial({}), manifest: manifest(), ...more })

const requestId = () => uuidV7(world.time.wallMs(), world.ports.randomness.bytes(10))

async function submitted(tenant = 'a'): Promise<string> {
  const { job } = await world.run(submit(tenant))
  return job?.jobId ?? ''
}

const state = async (jobId: string, tenant = 'a') => {
  const { job } = await world.run(world.client(tenant).getJob({ jobId, minPosition: '' }))
  return job?.state
}

describe('SubmitJob', () => {
  test('is answered when the scheduler has the job', async () => {
    const { job, position } = await world.run(submit('a'))
    expect(job).toMatchObject({ name: 'digits', tenant: 'a', state: Job_State.QUEUED, tasks: 2 })
    expect(world.enqueued).toMatchObject([
      { jobId: job?.jobId, tenant: 'a', queue: 'vision', gangs: [{ tasks: 2, rank0Ports: 1 }] },
    ])
    const read = await world.run(
      world.client('a').getJob({ jobId: job?.jobId ?? '', minPosition: position }),
    )
    expect(read.job?.manifest).toContain('stopGracePeriod: 3s')
  })

  test('is answered by the word of the scheduler, before that stands in the own log', async () => {
    const both = submit('a').then(async ({ job }) => {
      const { value } = await world.runtime.read(({ jobs }) => jobs.get(job?.jobId ?? '')?.state)
      return { job, view: value }
    })
    const { job, view } = await world.run(both)
    expect({ view, answered: job?.state }).toEqual({
      view: 'Submitted',
      answered: Job_State.QUEUED,
    })
    const jobId = job?.jobId ?? ''
    await world.time.advance(100)
    expect(await state(jobId)).toBe(Job_State.QUEUED)
  })

  test('the same request id gives the same job, with another body it is refused', async () => {
    const id = requestId()
    const first = await world.run(submit('a', { requestId: id }))
    // The fleet changed meanwhile: the first answer stays.
    world.validateError = MediatorWorld.refused('NO_MATCHING_NODE', 'FAILED_PRECONDITION')
    const second = await world.run(submit('a', { requestId: id }))
    expect(second.job?.jobId).toBe(first.job?.jobId)
    expect(world.enqueued).toHaveLength(1)
    const other = submit('a', { requestId: id, manifest: manifest('  priority: 7\n') })
    await expect(world.run(other)).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' })
    const stranger = submit('b', { requestId: id })
    await expect(world.run(stranger)).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' })
  })

  test('a bad description is refused with the place of each problem', async () => {
    const wrong = submit('a', { manifest: manifest('  taks: 4\n'), fileName: 'job.yaml' })
    await expect(world.run(wrong)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_SPEC',
      violations: [
        {
          field: 'spec.taks (line 8, column 3)',
          description: 'is not a known field; did you mean tasks?',
        },
      ],
    })
  })

  test('advice of the scheduler against it is the answer, and nothing is recorded', async () => {
    world.validateError = MediatorWorld.refused('UNKNOWN_QUEUE', 'NOT_FOUND')
    await expect(world.run(submit('a'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_QUEUE',
      metadata: { queue: 'q' },
    })
    const { jobs } = await world.run(
      world.client('admin').listJobs(ListJobsRequest.fromPartial({})),
    )
    expect(jobs).toEqual([])
  })

  test('a refused request stays refused, whatever the scheduler says later', async () => {
    const id = requestId()
    const refusal = { code: 'NOT_FOUND', reason: 'UNKNOWN_QUEUE', metadata: { queue: 'q' } }
    world.validateError = MediatorWorld.refused('UNKNOWN_QUEUE', 'NOT_FOUND')
    await expect(world.run(submit('a', { requestId: id }))).rejects.toMatchObject(refusal)
    world.validateError = MediatorWorld.refused('NO_MATCHING_NODE', 'FAILED_PRECONDITION')
    await expect(world.run(submit('a', { requestId: id }))).rejects.toMatchObject(refusal)
    world.validateError = undefined
    await expect(world.run(submit('a', { requestId: id }))).rejects.toMatchObject(refusal)
    expect(world.enqueued).toEqual([])
    // Also for the next leader.
    await (await world.start())()
    await world.start()
    await expect(world.run(submit('a', { requestId: id }))).rejects.toMatchObject(refusal)
  })

  test('two attempts of one request get one answer, whatever each was advised', async () => {
    const id = requestId()
    const refusal = MediatorWorld.refused('NO_MATCHING_NODE', 'FAILED_PRECONDITION')
    const [slow, quick] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const turns = [slow.promise, quick.promise.then(() => Promise.reject(refusal))]
    world.advise = () => turns.shift() ?? Promise.resolve()
    const first = submit('a', { requestId: id })
    const second = submit('a', { requestId: id })
    const outcomes = Promise.allSettled([first, second])
    await world.time.advance(100)
    quick.resolve()
    await world.time.advance(1_000)
    slow.resolve()
    const reasons = (await world.run(outcomes)).map((one) =>
      one.status === 'rejected' ? one.reason.reason : 'taken',
    )
    expect(reasons).toEqual(['NO_MATCHING_NODE', 'NO_MATCHING_NODE'])
    expect(world.enqueued).toEqual([])
  })

  test('a refusal at the queue itself is the answer too, also when asked again', async () => {
    world.enqueueError = MediatorWorld.refused('EXCEEDS_QUEUE_MAX', 'FAILED_PRECONDITION')
    const id = requestId()
    for (let i = 0; i < 2; i += 1) {
      await expect(world.run(submit('a', { requestId: id }))).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'EXCEEDS_QUEUE_MAX',
        metadata: { queue: 'q' },
      })
    }
  })

  test('without a scheduler it says at its deadline that the job was taken', async () => {
    const away = MediatorWorld.refused('NOT_READY', 'UNAVAILABLE')
    world.validateError = away
    world.enqueueError = away
    const id = requestId()
    const request = { ...SubmitJobRequest.fromPartial({}), manifest: manifest(), requestId: id }
    const waiting = world.client('a').submitJob(request, { timeoutMs: 2_000 })
    await expect(world.run(waiting)).rejects.toMatchObject({ reason: 'ENQUEUE_PENDING' })
    world.enqueueError = undefined
    const { job } = await world.run(submit('a', { requestId: id }))
    expect(job?.state).toBe(Job_State.QUEUED)
    expect(world.enqueued).toHaveLength(1)
  })

  test('validate_only checks everything and changes nothing', async () => {
    const { job } = await world.run(submit('a', { validateOnly: true }))
    expect(job).toMatchObject({ jobId: '', name: 'digits' })
    expect(job?.manifest).toContain('maxRestarts: 3')
    expect(world.enqueued).toEqual([])
  })

  test('a workspace must be one of the tenant’s own', async () => {
    const workspace = `sha256:${'0'.repeat(63)}a`
    const request = { manifest: manifest(`  workspace: ${workspace}\n`) }
    await expect(world.run(submit('b', request))).rejects.toMatchObject({
      reason: 'WORKSPACE_NOT_FOUND',
    })
    expect((await world.run(submit('a', request))).job?.state).toBe(Job_State.QUEUED)
  })

  test('operators name a tenant, tenants do not name another', async () => {
    await expect(world.run(submit('admin'))).rejects.toMatchObject({ reason: 'TENANT_REQUIRED' })
    const { job } = await world.run(submit('admin', { tenant: 'b' }))
    expect(job?.tenant).toBe('b')
    const foreign = submit('a', { tenant: 'b' })
    await expect(world.run(foreign)).rejects.toMatchObject({ reason: 'TENANT_NOT_YOURS' })
  })
})

describe('tenants', () => {
  test('another’s job does not exist: not to read, watch, cancel or explain', async () => {
    const jobId = await submitted('a')
    const b = world.client('b')
    const notFound = { code: 'NOT_FOUND', reason: 'JOB_NOT_FOUND' }
    const watching = b.watchJob({ jobId, resumeAfter: '' })[Symbol.asyncIterator]()
    await expect(world.run(b.getJob({ jobId, minPosition: '' }))).rejects.toMatchObject(notFound)
    await expect(world.run(watching.next())).rejects.toMatchObject(notFound)
    await expect(world.run(b.cancelJob({ jobId, requestId: '' }))).rejects.toMatchObject(notFound)
    await expect(world.run(b.explainJob({ jobId, atPosition: '' }))).rejects.toMatchObject(notFound)
    const { jobs } = await world.run(b.listJobs(ListJobsRequest.fromPartial({})))
    expect(jobs).toEqual([])
    expect(world.cancelled).toEqual([])
  })
})

test('lists newest first, in pages', async () => {
  const ids = [await submitted(), await submitted(), await submitted('b'), await submitted()]
  const request = ListJobsRequest.fromPartial({ pageSize: 2 })
  const first = await world.run(world.client('a').listJobs(request))
  expect(first.jobs.map((job) => job.jobId)).toEqual([ids[3], ids[1]])
  expect(first.jobs[0]?.manifest).toBe('')
  const more = { ...request, pageToken: first.nextPageToken }
  const second = await world.run(world.client('a').listJobs(more))
  expect(second.jobs.map((job) => job.jobId)).toEqual([ids[0]])
  expect(second.nextPageToken).toBe('')
  const bad = world.client('a').listJobs({ ...request, pageToken: 'x' })
  await expect(world.run(bad)).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' })
})

test('a placement becomes a launch contract, once', async () => {
  const jobId = await submitted()
  await world.tellPlaced(jobId, 1)
  await world.tellPlaced(jobId, 1)
  await world.tellState(jobId, 'Running')
  await world.until(async () => (await state(jobId)) === Job_State.RUNNING)
  await world.until(() => world.published('LaunchPrepared').length > 0)
  const launches = world.published('LaunchPrepared').map((bytes) => LaunchPrepared.decode(bytes))
  expect(launches).toHaveLength(1)
  expect(launches[0]).toMatchObject({
    jobId,
    generation: 1,
    command: ['node', 'train.js'],
    env: { WORLD_SIZE: '2', MASTER_PORT: '30000', TORCHELASTIC_RUN_ID: jobId },
    rankEnv: [{ env: { RANK: '0', GROUP_RANK: '0' } }, { env: { RANK: '1', GROUP_RANK: '1' } }],
  })
  const { job } = await world.run(world.client('a').getJob({ jobId, minPosition: '' }))
  expect(job).toMatchObject({ nodes: ['n1', 'n2'], emulatedDevices: true, generation: 1 })
})

describe('WatchJob', () => {
  async function collect(stream: AsyncIterable<WatchJobResponse>, into: WatchJobResponse[]) {
    for await (const message of stream) into.push(message)
  }

  test('tells the job, then each change, until the end', async () => {
    const jobId = await submitted()
    const seen: WatchJobResponse[] = []
    const done = collect(world.client('a').watchJob({ jobId, resumeAfter: '' }), seen)
    await world.until(() => seen.length === 1)
    await world.tellState(jobId, 'Running')
    await world.until(() => seen.length === 2)
    await world.tellState(jobId, 'Succeeded', { resultJson: '{"accuracy":0.97}', atMs: 9n })
    await world.run(done)
    expect(seen.map(({ job }) => job?.state)).toEqual([
      Job_State.QUEUED,
      Job_State.RUNNING,
      Job_State.SUCCEEDED,
    ])
    expect(seen.at(-1)?.job).toMatchObject({ resultJson: '{"accuracy":0.97}', finishedMs: 9n })
    const again: WatchJobResponse[] = []
    const resumeAfter = seen[1]?.position ?? ''
    await world.run(collect(world.client('a').watchJob({ jobId, resumeAfter }), again))
    expect(again.map(({ job }) => job?.state)).toEqual([Job_State.SUCCEEDED])
  })

  test('tells what no record told: a replica took the state of a newer snapshot', async () => {
    const jobId = await submitted()
    const { runtime, ports } = world
    const changes = new JobChanges({ onEffective: () => () => undefined })
    const jobs = new JobHandlers({ runtime, changes, timers: ports.timers })
    const principal = { subject: 'token:a', tenant: 'a', roles: ['tenant'] }
    const { signal } = new AbortController()
    const context = { principal, signal, timeoutMs: undefined, metadata: new Map() }
    const seen: WatchJobResponse[] = []
    const done = collect(jobs.watch({ jobId, resumeAfter: '' }, context), seen)
    await world.until(() => seen.length === 1)
    await world.tellState(jobId, 'Succeeded', { resultJson: '{}', atMs: 9n })
    await world.run(done)
    expect(seen.at(-1)?.job?.state).toBe(Job_State.SUCCEEDED)
  })

  test('sends a heartbeat in silence', async () => {
    const jobId = await submitted()
    const seen: WatchJobResponse[] = []
    const stop = new AbortController()
    const options = { signal: stop.signal }
    const done = collect(world.client('a').watchJob({ jobId, resumeAfter: '' }, options), seen)
    done.catch(() => undefined)
    await world.until(() => seen.length === 1)
    await world.time.advance(10_001)
    await world.until(() => seen.length === 2)
    expect(seen[1]).toMatchObject({ job: undefined, position: seen[0]?.position })
    stop.abort()
    await expect(world.run(done)).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

test('that there is no such job is said from a state behind the proof of leadership', async () => {
  const jobId = await submitted()
  let proved = false
  // A follower that has read nothing yet, and leads by the time it is asked for the proof.
  const runtime = new Proxy(world.runtime, {
    get(real, name) {
      if (name === 'confirm') {
        proved = true
        return () => real.confirm()
      }
      if (name !== 'read' || proved) return Reflect.get(real, name).bind(real)
      const read: typeof real.read = (query) =>
        real.read((_, at) => query(mediatorDecider.initial(), at))
      return read
    },
  })
  const changes = new JobChanges(world.runtime)
  const jobs = new JobHandlers({ runtime, changes, timers: world.ports.timers })
  const context = {
    principal: { subject: 'token:a', tenant: 'a', roles: ['tenant'] },
    signal: new AbortController().signal,
    timeoutMs: undefined,
    metadata: new Map(),
  }
  const { job } = await world.run(jobs.cancel({ requestId: '', jobId }, context))
  expect(job?.jobId).toBe(jobId)
  proved = false
  const nobodys = jobs.cancel({ requestId: '', jobId: 'j-0-x' }, context)
  await expect(world.run(nobodys)).rejects.toMatchObject({ reason: 'JOB_NOT_FOUND' })
})

test('CancelJob under an id that was used for another request is refused', async () => {
  const [first, second] = [await submitted(), await submitted()]
  const id = requestId()
  const cancel = (jobId: string) => world.client('a').cancelJob({ jobId, requestId: id })
  await world.run(cancel(first))
  await world.run(cancel(first))
  await expect(world.run(cancel(second))).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' })
  await world.until(() => world.cancelled.length > 0)
  expect(world.cancelled).toEqual([first])
  const invalid = world.client('a').cancelJob({ jobId: second, requestId: 'no-uuid' })
  await expect(world.run(invalid)).rejects.toMatchObject({ reason: 'REQUEST_ID_INVALID' })
})

test('CancelJob reaches the scheduler once', async () => {
  const jobId = await submitted()
  const cancel = () => world.run(world.client('a').cancelJob({ jobId, requestId: requestId() }))
  await cancel()
  await cancel()
  await world.until(() => world.cancelled.length > 0)
  await world.tellState(jobId, 'Cancelled')
  await world.until(async () => (await state(jobId)) === Job_State.CANCELLED)
  expect((await cancel()).job?.state).toBe(Job_State.CANCELLED)
  expect(world.cancelled).toEqual([jobId])
})

describe('ExplainJob', () => {
  const entry = (service: string, code: string, afterMs: number): StoryEntry => ({
    atMs: BigInt(world.time.wallMs() + afterMs),
    position: '',
    service,
    code,
    details: {},
  })
  const explain = async (jobId: string, atPosition = '') =>
    world.run(world.client('a').explainJob({ jobId, atPosition }))

  test('merges the owners’ stories by time', async () => {
    const jobId = await submitted()
    world.schedulerStory = [entry('scheduler', 'QUEUED', 10), entry('scheduler', 'RUNNING', 30)]
    world.recoveryStory = [entry('fault-tolerance', 'INCIDENT', 20)]
    const why = await explain(jobId)
    expect(why.story.map(({ code }) => code)).toEqual([
      'SUBMITTED',
      'QUEUED',
      'INCIDENT',
      'RUNNING',
    ])
    expect(why).toMatchObject({ name: 'digits', position: 'scheduler:0:9:9', missing: [] })
  })

  test('names the owners that are away', async () => {
    const jobId = await submitted()
    world.schedulerStory = MediatorWorld.refused('NOT_READY', 'UNAVAILABLE')
    world.recoveryStory = MediatorWorld.refused('NOT_READY', 'UNAVAILABLE')
    const why = await explain(jobId)
    expect(why.state).toBe('Queued')
    expect(why.missing.map((owner) => owner.split(':')[0])).toEqual([
      'scheduler',
      'fault-tolerance',
    ])
  })

  test('a past that is not kept is an error, not another time', async () => {
    const jobId = await submitted()
    world.schedulerStory = MediatorWorld.refused('OUT_OF_RANGE', 'OUT_OF_RANGE')
    await expect(explain(jobId, 'scheduler:0:1:0')).rejects.toMatchObject({ code: 'OUT_OF_RANGE' })
  })
})

test('after a restart everything is as it was', async () => {
  const fresh = new MediatorWorld()
  world = fresh
  const stop = await fresh.start()
  const jobId = await submitted()
  await fresh.tellState(jobId, 'Running')
  await fresh.until(async () => (await state(jobId)) === Job_State.RUNNING)
  await stop()
  await fresh.start()
  expect(await state(jobId)).toBe(Job_State.RUNNING)
  expect(fresh.enqueued).toHaveLength(1)
})
