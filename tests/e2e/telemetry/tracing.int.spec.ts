import { randomBytes } from 'node:crypto'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { requestId, untilJob } from '../../support/digits.ts'
import { Platform } from '../../support/platform.ts'
import { prepareQueue } from '../node-faults.ts'
import { type OtlpReceiver, openOtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts'

const TRACE = randomBytes(16).toString('hex')
const CALLER = randomBytes(8).toString('hex')
const ENQUEUE = 'serverlessai.schedule.v1.SchedulerService/Enqueue'

let receiver: OtlpReceiver
let platform: Platform
let trace: readonly ReceivedSpan[]
let jobId = ''
let ended: Job

/** Spans with this name in a service; `service` empty = calls, which are of no service. */
const all = (service: string, name: string): readonly ReceivedSpan[] =>
  trace.filter((span) => span.name === name && (span.attributes['sai.service'] ?? '') === service)

/** The one span with this name in a service that began under one of `parents`. */
function child(parents: readonly ReceivedSpan[], service: string, name: string): ReceivedSpan {
  const ids = parents.map(({ spanId }) => spanId)
  const [found, second] = all(service, name).filter((span) => ids.includes(span.parentSpanId))
  if (found !== undefined && second === undefined) return found
  const text = trace.map((span) => {
    const { spanId, parentSpanId, attributes } = span
    return `${spanId} under ${parentSpanId}: ${attributes['sai.service'] ?? ''} ${span.name}`
  })
  throw new Error(`not exactly one '${name}' of '${service}' under ${ids}:\n${text.join('\n')}`)
}

beforeAll(async () => {
  receiver = await openOtlpReceiver()
  const args = ['--tracing.endpoint', receiver.endpoint]
  platform = await Platform.start({ nodes: 2, devicesPerNode: 1, args })
  await prepareQueue(platform)
  const team = platform.as('team-a')
  const report = '{\\"kind\\":\\"result\\",\\"parent\\":\\"$TRACEPARENT\\"}'
  const manifest = stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: 'traced' },
    spec: {
      queue: 'team-a',
      tasks: 2,
      command: ['sh', '-c', `echo "${report}" >> $SAI_REPORT`],
      resources: { devices: 1, cpu: '50m', memory: '32Mi' },
    },
  })
  const none = { tenant: '', fileName: '', validateOnly: false }
  const metadata = { traceparent: `00-${TRACE}-${CALLER}-01` }
  const request = { ...none, manifest, requestId: requestId() }
  const { job } = await team.jobs.submitJob(request, { metadata })
  jobId = job?.jobId ?? ''
  const succeeded = (now: Job) => now.state === Job_State.SUCCEEDED && now.resultJson !== ''
  ended = await untilJob(team, jobId, 'ends', succeeded, 30_000)
  // What is on its way is sent at the end.
  await platform.interrupt()
  trace = receiver.spans.filter(({ traceId }) => traceId === TRACE)
}, 120_000)
afterAll(async () => {
  await platform.close()
  await receiver.close()
})

describe('the trace of a job', () => {
  it('goes from the caller through commits and calls to the placement', () => {
    const calls = trace.filter(({ parentSpanId }) => parentSpanId === CALLER)
    expect(calls.map(({ name }) => name)).toEqual(['serverlessai.job.v1.JobService/SubmitJob'])
    const commit = child(calls, 'mediator', 'commit SubmitJob')
    const effect = child([commit], 'mediator', 'effect enqueue')
    const made = child([effect], '', ENQUEUE)
    const served = child([made], '', ENQUEUE)
    const queued = child([served], 'scheduler', 'commit EnqueueJob')
    child([queued], 'pool-manager', 'consume GangPlaced')
    child([queued], 'fault-tolerance', 'consume GangPlaced')
    const placed = child([queued], 'mediator', 'consume GangPlaced')
    child([placed], 'pool-manager', 'consume LaunchPrepared')
  })

  it('goes on in the started processes, and from them back to the end of the job', () => {
    // Topics have no order between each other: a task starts when both are there.
    const causes = [
      ...all('pool-manager', 'consume GangPlaced'),
      ...all('pool-manager', 'consume LaunchPrepared'),
    ]
    const tasks = all('pool-manager', 'task')
    expect(tasks.map(({ attributes }) => attributes['sai.rank']).sort()).toEqual([0, 1])
    for (const { parentSpanId, error, attributes } of tasks) {
      expect(causes.map(({ spanId }) => spanId)).toContain(parentSpanId)
      expect({ error, job: attributes['sai.job'] }).toEqual({ error: '', job: jobId })
    }
    const first = tasks.find(({ attributes }) => attributes['sai.rank'] === 0)
    const { parent } = JSON.parse(ended.resultJson)
    expect(parent).toBe(`00-${TRACE}-${first?.spanId}-01`)

    const started = all('scheduler', 'consume TaskStarted')
    expect(started).toHaveLength(2)
    const exited = all('scheduler', 'consume TaskExited')
    expect(exited).toHaveLength(2)
    const endings = all('mediator', 'consume JobStateChanged').map((span) => span.parentSpanId)
    expect(exited.filter(({ spanId }) => endings.includes(spanId))).not.toEqual([])
  })

  it('is one tree: every span but the first has its parent in it', () => {
    const ids = new Set(trace.map(({ spanId }) => spanId))
    const orphans = trace.filter((span) => !ids.has(span.parentSpanId))
    expect(orphans.map(({ parentSpanId }) => parentSpanId)).toEqual([CALLER])
    expect(ids.size).toBe(trace.length)
    expect(trace.filter(({ error }) => error !== '')).toEqual([])
  })

  it('holds nothing of what others did', () => {
    const keys = trace.flatMap(({ attributes }) => attributes['sai.key'] ?? [])
    expect(keys.length).toBeGreaterThan(5)
    for (const key of keys) expect(String(key)).toContain(jobId)
    expect(receiver.spans.length).toBeGreaterThan(trace.length)
  })
})
