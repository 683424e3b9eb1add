// Submits a job, reads its own write, asks why it waits, and follows it to its end; see README.md.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { status } from '@grpc/grpc-js'
import { type Job, Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { Caller, detailsOf } from './calling.ts'
import { requestId } from './request-id.ts'
import { codeName, isServiceError } from './status-details.ts'

const USAGE = `usage: SAI_TOKEN=TOKEN follow-job [--address HOST:PORT[,HOST:PORT]] FILE
  FILE     a job description; - reads standard input
Ends with 0 when the job succeeded, 1 when it did not or a call failed, 2 for a wrong command line.`

const UNARY_TIMEOUT_MS = 30_000
const WATCH_ATTEMPTS_MAX = 10
const READ = { timeoutMs: UNARY_TIMEOUT_MS, repeatable: true }

const FINISHED: ReadonlySet<Job_State> = new Set<Job_State>([
  Job_State.SUCCEEDED,
  Job_State.FAILED,
  Job_State.CANCELLED,
  Job_State.REJECTED,
])
const stateName = (job: Job): string =>
  Object.entries(Job_State).find(([, number]) => number === job.state)?.[0] ?? String(job.state)

/** The job and the position of the commit that holds it. */
async function submit(caller: Caller, file: string): Promise<{ jobId: string; position: string }> {
  const manifest = readFileSync(file === '-' ? 0 : file, 'utf8')
  // One id for all attempts: however often the call is made, there is one job.
  const request = { requestId: requestId(), manifest, fileName: file, tenant: '' }
  const call = { timeoutMs: UNARY_TIMEOUT_MS, repeatable: true }
  const whole = { ...request, validateOnly: false }
  const { job, position } = await caller.unary(JobServiceService.submitJob, whole, call)
  if (job === undefined) throw new TypeError('the answer has no job')
  return { jobId: job.jobId, position }
}

/** `position` makes any replica wait until it has read that far: it answers with our own write. */
async function show(caller: Caller, jobId: string, position: string): Promise<void> {
  const request = { jobId, minPosition: position }
  const { job } = await caller.unary(JobServiceService.getJob, request, READ)
  if (job !== undefined) console.log(`${job.jobId} ${job.name}: ${stateName(job)}`)
}

/** Why it is as it is: place in the queue, and the story of all owners, oldest first. */
async function why(caller: Caller, jobId: string): Promise<void> {
  const request = { jobId, atPosition: '' }
  const answer = await caller.unary(JobServiceService.explainJob, request, READ)
  const { queuePosition, story, missing } = answer
  if (queuePosition > 0) console.log(`  why: place ${queuePosition} in its queue`)
  for (const { code, details } of story) {
    const numbers = Object.entries(details).map(([name, value]) => ` ${name}=${value}`)
    console.log(`  why: ${code}${numbers.join('')}`)
  }
  for (const owner of missing) console.log(`  why: not known from ${owner}`)
}

/** Each change until the end; a stream that breaks goes on after the last position. */
async function follow(caller: Caller, jobId: string): Promise<Job> {
  let resumeAfter = ''
  for (let attempt = 1; ; attempt += 1) {
    try {
      // A stream has no deadline: it lives as long as the job. Heartbeats carry a position only.
      for await (const change of caller.stream(JobServiceService.watchJob, {
        jobId,
        resumeAfter,
      })) {
        attempt = 0
        resumeAfter = change.position
        if (change.job === undefined) continue
        console.log(`${jobId}: ${stateName(change.job)}, generation ${change.job.generation}`)
        if (FINISHED.has(change.job.state)) return change.job
      }
    } catch (error) {
      const slow = isServiceError(error) && error.code === status.RESOURCE_EXHAUSTED
      const about = { attempt: Math.max(1, attempt), repeatable: true }
      const pauseMs = slow ? 0 : caller.pauseAfter(error, about)
      if (pauseMs === undefined || attempt >= WATCH_ATTEMPTS_MAX) throw error
      console.error(`the stream broke, going on after position "${resumeAfter}"`)
      await sleep(pauseMs)
    }
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { address: { type: 'string', default: '127.0.0.1:7070' } },
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1) {
    console.error(USAGE)
    return 2
  }
  const caller = new Caller({
    addresses: values.address.split(','),
    token: process.env['SAI_TOKEN'],
  })
  try {
    const { jobId, position } = await submit(caller, file)
    await show(caller, jobId, position)
    await why(caller, jobId)
    const { state } = await follow(caller, jobId)
    return state === Job_State.SUCCEEDED ? 0 : 1
  } finally {
    caller.close()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  if (isServiceError(error)) {
    const { reason } = detailsOf(error)
    console.error(`follow-job: ${codeName(error)} ${reason}: ${error.details}`)
  } else console.error(`follow-job: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
