import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { readDescriptorSet } from '@serverless-ai/contracts'
import {
  type CancelJobRequest,
  Job,
  Job_State,
  JobServiceService,
  type SubmitJobRequest,
  type WatchJobRequest,
} from '@serverless-ai/contracts/job/v1/job'
import type { HandlersOf, Logger, TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { addReflection, createGrpcServer, rpcError, staticTokens } from '@serverless-ai/rpc'
import { afterEach, beforeEach, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('reflect-job.ts', import.meta.url))
const silent: Logger = { log: () => undefined, child: () => silent }

let server: TransportServer
let address: string
let submits: SubmitJobRequest[]
let watches: WatchJobRequest[]
let cancels: CancelJobRequest[]

const job = (state: Job['state'], generation = 0) =>
  Job.fromPartial({ jobId: 'j-1', name: 'digits', tenant: 'team-a', state, generation })

const refuse = (): never => {
  throw rpcError('PERMISSION_DENIED')
}

const handlers: HandlersOf<typeof JobServiceService> = {
  async submitJob(request) {
    submits.push(request)
    if (request.manifest === 'bad') {
      throw rpcError('UNKNOWN_QUEUE', {
        message: 'UNKNOWN_QUEUE: no queue "nowhere"',
        metadata: { queue: 'nowhere' },
        violations: [{ field: 'spec.queue (line 3, column 10)', description: 'unknown queue' }],
      })
    }
    return { job: job(Job_State.QUEUED), position: 'p1' }
  },
  async *watchJob(request) {
    watches.push(request)
    if (request.resumeAfter === '') {
      yield { job: job(Job_State.RUNNING, 1), position: 'p5' }
      yield { job: undefined, position: 'p6' }
      throw rpcError('UNAVAILABLE')
    }
    yield { job: job(Job_State.SUCCEEDED, 2), position: 'p9' }
  },
  async cancelJob(request) {
    cancels.push(request)
    return { job: job(Job_State.CANCELLED, 1), position: 'p7' }
  },
  getJob: refuse,
  listJobs: refuse,
  scaleJob: refuse,
  updateService: refuse,
  explainJob: refuse,
}

beforeEach(async () => {
  submits = []
  watches = []
  cancels = []
  const principal = { subject: 'token:team-a', tenant: 'team-a', roles: ['tenant'] }
  const authenticate = staticTokens([{ token: 'secret', principal }])
  server = createGrpcServer({
    clock: systemClock,
    timers: systemTimers,
    logger: silent,
    authenticate,
  })
  server.add(JobServiceService, handlers)
  addReflection(server, readDescriptorSet)
  address = await server.listen('127.0.0.1:0')
})
afterEach(() => server.close(0))

async function run(args: string[], stdin = ''): Promise<Record<'stdout' | 'stderr', string>> {
  const child = spawn(process.execPath, [MAIN, '--address', address, ...args])
  const text = { stdout: '', stderr: '', code: '' }
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text.stdout += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text.stderr += part
  })
  child.stdin.end(stdin)
  await once(child, 'close')
  return { stdout: text.stdout, stderr: `exit ${child.exitCode}: ${text.stderr}` }
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line))

test('a job is submitted with the types that the server describes', async () => {
  const { stdout, stderr } = await run(['--token', 'secret', 'submit', '-'], 'name: digits\n')
  expect(stderr).toBe('exit 0: ')
  expect(jsonLines(stdout)).toEqual([
    {
      job: { jobId: 'j-1', name: 'digits', tenant: 'team-a', state: 'STATE_QUEUED' },
      position: 'p1',
    },
  ])
  expect(submits).toMatchObject([{ manifest: 'name: digits\n', fileName: '-' }])
  expect(submits[0]?.requestId).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-/)
})

test('a watch that breaks goes on after the last position', async () => {
  const { stdout, stderr } = await run(['--token', 'secret', 'watch', 'j-1'])
  expect(stderr).toMatch(/^exit 0: .*going on after position "p6"/)
  expect(jsonLines(stdout)).toMatchObject([
    { job: { state: 'STATE_RUNNING', generation: 1 }, position: 'p5' },
    { job: { state: 'STATE_SUCCEEDED', generation: 2 }, position: 'p9' },
  ])
  expect(watches).toMatchObject([
    { jobId: 'j-1', resumeAfter: '' },
    { jobId: 'j-1', resumeAfter: 'p6' },
  ])
})

test('a job is cancelled', async () => {
  const { stdout } = await run(['--token', 'secret', 'cancel', 'j-1'])
  expect(jsonLines(stdout)).toMatchObject([{ job: { state: 'STATE_CANCELLED' } }])
  expect(cancels).toMatchObject([{ jobId: 'j-1' }])
})

test('methods are listed', async () => {
  const { stdout } = await run(['list'])
  expect(jsonLines(stdout)).toContainEqual({
    method: 'serverlessai.job.v1.JobService/WatchJob',
    kind: 'server_streaming',
    takes: 'WatchJobRequest',
    gives: 'WatchJobResponse',
  })
})

test('a refusal is shown with its details, also read with the server’s types', async () => {
  const { stdout, stderr } = await run(['--token', 'secret', 'submit', '-'], 'bad')
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^exit 1: reflect-job: NOT_FOUND: UNKNOWN_QUEUE: no queue "nowhere"/)
  expect(stderr).toContain('"reason": "UNKNOWN_QUEUE"')
  expect(stderr).toContain('spec.queue (line 3, column 10)')
})

test.each([
  [['submit', '-'], /^exit 1: reflect-job: UNAUTHENTICATED/],
  [['--token', 'wrong', 'cancel', 'j-1'], /^exit 1: reflect-job: UNAUTHENTICATED/],
  [['delete', 'j-1'], /^exit 2: reflect-job: unknown command "delete"\nusage:/],
  [['watch'], /^exit 2: reflect-job: watch: an argument is missing/],
  [['--tokn', 'x', 'list'], /^exit 2: reflect-job: .*--tokn/],
  [['--address', '127.0.0.1:1', 'list'], /^exit 1: reflect-job: UNAVAILABLE/],
  [['submit', '/nowhere/job.yaml'], /^exit 1: .*ENOENT.*job\.yaml/],
])('%j fails clearly', async (args, message) => {
  expect((await run(args)).stderr).toMatch(message)
})

test('a reader that has seen enough, such as head, ends it quietly', async () => {
  const child = spawn(process.execPath, [MAIN, '--address', address, 'list'])
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part
  })
  child.stdout.destroy()
  await once(child, 'close')
  expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' })
})
