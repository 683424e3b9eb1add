import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  type ExplainJobRequest,
  ExplainJobResponse,
  type GetJobRequest,
  Job,
  Job_State,
  JobServiceService,
  type SubmitJobRequest,
  type WatchJobRequest,
} from '@serverless-ai/contracts/job/v1/job'
import { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { HandlersOf, Logger, TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcServer, rpcError, staticTokens } from '@serverless-ai/rpc'
import { afterEach, beforeEach, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('follow-job.ts', import.meta.url))
const silent: Logger = { log: () => undefined, child: () => silent }
const principal = { subject: 'token:team-a', tenant: 'team-a', roles: ['tenant'] }

type Handlers = HandlersOf<typeof JobServiceService>
type Asked = SubmitJobRequest | GetJobRequest | ExplainJobRequest | WatchJobRequest

const job = (state: Job['state'], generation = 0) =>
  Job.fromPartial({ jobId: 'j-1', name: 'digits', tenant: 'team-a', state, generation })
const never = (): never => {
  throw rpcError('PERMISSION_DENIED')
}

const servers: TransportServer[] = []
let submits: SubmitJobRequest[]
let asked: Asked[]

async function serve(handlers: Partial<Handlers>): Promise<string> {
  const authenticate = staticTokens([{ token: 'secret', principal }])
  const ports = { clock: systemClock, timers: systemTimers, logger: silent }
  const server = createGrpcServer({ ...ports, authenticate })
  const all = { submitJob: never, getJob: never, listJobs: never, watchJob: never }
  server.add(JobServiceService, {
    ...all,
    cancelJob: never,
    scaleJob: never,
    updateService: never,
    explainJob: never,
    ...handlers,
  })
  servers.push(server)
  return server.listen('127.0.0.1:0')
}

/** A leader that is away once per kind of call. */
const leader: Partial<Handlers> = {
  async submitJob(request) {
    submits.push(request)
    if (submits.length === 1) throw rpcError('UNAVAILABLE', { retryAfterMs: 30 })
    if (request.manifest === 'bad') throw rpcError('UNKNOWN_QUEUE')
    return { job: job(Job_State.QUEUED), position: 'scheduler:0:7:3' }
  },
  async getJob(request) {
    asked.push(request)
    return { job: job(Job_State.QUEUED), position: 'scheduler:0:8:3' }
  },
  async explainJob(request) {
    asked.push(request)
    const entry = StoryEntry.fromPartial({ code: 'JOB_QUEUED', details: { queue: 'main' } })
    return { ...ExplainJobResponse.fromPartial({ queuePosition: 2 }), story: [entry] }
  },
  async *watchJob(request) {
    asked.push(request)
    if (request.resumeAfter === '') {
      yield { job: job(Job_State.RUNNING, 1), position: 'p5' }
      yield { job: undefined, position: 'p6' }
      throw rpcError('UNAVAILABLE')
    }
    yield { job: job(Job_State.SUCCEEDED, 2), position: 'p9' }
  },
}

beforeEach(() => {
  submits = []
  asked = []
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(0)))
})

async function run(address: string, stdin: string) {
  const env = { ...process.env, SAI_TOKEN: 'secret' }
  const flags = ['--conditions=sai-source', MAIN, '--address', address, '-']
  const child = spawn(process.execPath, flags, { env })
  const said = { out: '', err: '' }
  child.stdout.on('data', (part: Buffer) => {
    said.out += part.toString()
  })
  child.stderr.on('data', (part: Buffer) => {
    said.err += part.toString()
  })
  child.stdin.end(stdin)
  await once(child, 'close')
  return { ...said, code: child.exitCode }
}

test('a job is submitted once, read at its position, explained and followed', async () => {
  const to = await serve(leader)
  const elsewhere = (): never => {
    throw rpcError('NOT_LEADING', { metadata: { leaderAddress: to } })
  }
  const standby = await serve({ submitJob: elsewhere, watchJob: elsewhere })
  const { out, err, code } = await run(`${standby},${to}`, 'name: digits\n')
  // It broke at the leader, and the standby that was asked next sent it back.
  expect(err).toMatch(/^(the stream broke, going on after position "p6"\n){2}$/)
  expect(out.split('\n')).toEqual([
    'j-1 digits: QUEUED',
    '  why: place 2 in its queue',
    '  why: JOB_QUEUED queue=main',
    'j-1: RUNNING, generation 1',
    'j-1: SUCCEEDED, generation 2',
    '',
  ])
  expect(code).toBe(0)
  expect(submits).toHaveLength(2)
  expect(submits[0]?.requestId).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-/)
  expect(submits[1]?.requestId).toBe(submits[0]?.requestId)
  expect(asked).toMatchObject([
    { jobId: 'j-1', minPosition: 'scheduler:0:7:3' },
    { jobId: 'j-1', atPosition: '' },
    { jobId: 'j-1', resumeAfter: '' },
    { jobId: 'j-1', resumeAfter: 'p6' },
  ])
})

test('what repeating cannot mend is told with its reason', async () => {
  const { err, code } = await run(await serve(leader), 'bad')
  expect(err).toMatch(/^follow-job: NOT_FOUND UNKNOWN_QUEUE: /)
  expect(code).toBe(1)
  expect(submits).toHaveLength(2)
})
