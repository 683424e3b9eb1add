import {
  Job,
  Job_State,
  JobServiceService,
  WorkspaceServiceService,
} from '@serverless-ai/contracts/job/v1/job'
import { type HandlersOf, isUuidV7, type Logger, RpcError } from '@serverless-ai/kernel'
import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import { memoryNetwork } from '@serverless-ai/rpc'
import { describe, expect, test } from 'vitest'
import { connect } from './client.ts'

const away = () => new RpcError({ code: 'UNAVAILABLE', reason: 'STOPPING', message: 'away' })
const quiet: Logger = { log: () => undefined, child: () => quiet }
const job = (state: Job_State): Job => ({ ...Job.fromPartial({}), jobId: 'j-0-1', state })

type JobHandlers = HandlersOf<typeof JobServiceService>

/** A platform whose job service does what the test says. */
async function platform(handlers: Partial<JobHandlers>) {
  const time = new VirtualTime()
  const network = memoryNetwork({ timers: time })
  const principal = { subject: 'token:a', tenant: 'a', roles: ['tenant'] }
  const options = { clock: time, timers: time, logger: quiet, authenticate: () => principal }
  const server = network.server(options)
  const never = (): never => {
    throw new RpcError({ code: 'UNIMPLEMENTED', reason: 'UNIMPLEMENTED', message: 'not here' })
  }
  server.add(JobServiceService, {
    submitJob: never,
    getJob: never,
    listJobs: never,
    watchJob: never,
    cancelJob: never,
    scaleJob: never,
    updateService: never,
    explainJob: never,
    ...handlers,
  })
  server.add(WorkspaceServiceService, {
    async uploadWorkspace(requests) {
      const got: Buffer[] = []
      let name = ''
      for await (const { data, digest } of requests) {
        name ||= digest
        got.push(data)
      }
      return { workspace: name, bytes: BigInt(Buffer.concat(got).length) }
    },
    downloadWorkspace: never,
  })
  const address = await time.run(server.listen('127.0.0.1:0'))
  const client = connect({
    address,
    token: 't',
    clock: time,
    timers: time,
    randomness: seededRandomness(7),
    transport: network.transport(),
  })
  return { client, time }
}

describe('a platform that is away for a moment', () => {
  test('submit is made again with the same request id', async () => {
    const ids: string[] = []
    const { client, time } = await platform({
      async submitJob({ requestId }) {
        ids.push(requestId)
        if (ids.length < 3) throw away()
        return { job: job(Job_State.QUEUED), position: 'mediator:0:1:1' }
      },
    })
    const done = await time.run(client.jobs.submit({ manifest: 'x' }))
    expect(done.job.state).toBe(Job_State.QUEUED)
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(1)
    expect(isUuidV7(ids[0] ?? '')).toBe(true)
  })

  test('in the end it says so', async () => {
    let calls = 0
    const { client, time } = await platform({
      async getJob() {
        calls += 1
        throw away()
      },
    })
    await expect(time.run(client.jobs.get('j-0-1'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(calls).toBe(6)
  })

  test('another failure is told at once', async () => {
    let calls = 0
    const { client, time } = await platform({
      async getJob() {
        calls += 1
        throw new RpcError({ code: 'NOT_FOUND', reason: 'JOB_NOT_FOUND', message: 'none' })
      },
    })
    await expect(time.run(client.jobs.get('x'))).rejects.toMatchObject({ reason: 'JOB_NOT_FOUND' })
    expect(calls).toBe(1)
  })
})

async function states(jobs: AsyncIterable<Job>): Promise<Job_State[]> {
  const seen: Job_State[] = []
  for await (const { state } of jobs) seen.push(state)
  return seen
}

describe('watch', () => {
  test('goes on after a lost connection where it was, without heartbeats', async () => {
    const resumed: string[] = []
    const { client, time } = await platform({
      async *watchJob({ resumeAfter }) {
        resumed.push(resumeAfter)
        if (resumeAfter === '') {
          yield { job: job(Job_State.QUEUED), position: 'p1' }
          yield { job: undefined, position: 'p2' }
          throw away()
        }
        yield { job: job(Job_State.RUNNING), position: 'p3' }
        yield { job: job(Job_State.SUCCEEDED), position: 'p4' }
      },
    })
    const seen = await time.run(states(client.jobs.watch('j-0-1')))
    expect(seen).toEqual([Job_State.QUEUED, Job_State.RUNNING, Job_State.SUCCEEDED])
    expect(resumed).toEqual(['', 'p2'])
  })

  test('a silent stream is opened anew', async () => {
    let opened = 0
    const { client, time } = await platform({
      async *watchJob(_, { signal }) {
        opened += 1
        if (opened === 1) {
          yield { job: job(Job_State.RUNNING), position: 'p1' }
          await time.sleep(3_600_000, signal)
        }
        yield { job: job(Job_State.FAILED), position: 'p2' }
      },
    })
    const seen = await time.run(states(client.jobs.watch('j-0-1')))
    expect(seen).toEqual([Job_State.RUNNING, Job_State.FAILED])
    expect(opened).toBe(2)
  })
})

describe('a watch with patience', () => {
  /** Answers once, is away for the time, then tells the end. */
  async function outage(awayMs: number) {
    let backAtMs = Number.POSITIVE_INFINITY
    const resumed = new Set<string>()
    const { client, time } = await platform({
      async *watchJob({ resumeAfter }) {
        resumed.add(resumeAfter)
        if (resumeAfter === '') {
          yield { job: job(Job_State.RUNNING), position: 'p1' }
          backAtMs = time.monotonicMs() + awayMs
        }
        if (time.monotonicMs() < backAtMs) throw away()
        yield { job: job(Job_State.SUCCEEDED), position: 'p2' }
      },
    })
    let lost = 0
    const onLost = () => {
      lost += 1
    }
    const watch = client.jobs.watch('j-0-1', { giveUpMs: 300_000, onLost })
    return { done: time.run(states(watch)), resumed, lost: () => lost }
  }

  test('goes on after minutes, and says once that it waits', async () => {
    const { done, resumed, lost } = await outage(240_000)
    expect(await done).toEqual([Job_State.RUNNING, Job_State.SUCCEEDED])
    expect([...resumed]).toEqual(['', 'p1'])
    expect(lost()).toBe(1)
  })

  test('says nothing of a stream that is back at once', async () => {
    const { done, lost } = await outage(1)
    expect(await done).toHaveLength(2)
    expect(lost()).toBe(0)
  })

  test('gives up in the end', async () => {
    const { done } = await outage(400_000)
    await expect(done).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('does not wait for a platform that never answered', async () => {
    let calls = 0
    const { client, time } = await platform({
      // biome-ignore lint/correctness/useYield: it is away
      async *watchJob() {
        calls += 1
        throw away()
      },
    })
    const done = time.run(states(client.jobs.watch('j-0-1', { giveUpMs: 300_000 })))
    await expect(done).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(calls).toBe(6)
  })
})

test('lists page by page', async () => {
  const { client, time } = await platform({
    async listJobs({ pageToken }) {
      const next = pageToken === '' ? 'more' : ''
      return { jobs: [job(Job_State.QUEUED)], nextPageToken: next, position: '' }
    },
  })
  expect(await time.run(states(client.jobs.list()))).toHaveLength(2)
})

test('uploads in pieces under the digest of the whole', async () => {
  const { client, time } = await platform({})
  const name = await time.run(client.uploadWorkspace(Buffer.alloc(1_000_000, 'x')))
  expect(name).toMatch(/^sha256:[0-9a-f]{64}$/)
})
