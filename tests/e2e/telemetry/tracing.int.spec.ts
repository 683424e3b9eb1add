import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Platform } from '../../support/platform.ts'
import { type OtlpReceiver, openOtlpReceiver } from './otlp-receiver.ts'
import { TracedJob } from './traced-job.ts'

let receiver: OtlpReceiver
let platform: Platform
let traced: TracedJob

beforeAll(async () => {
  receiver = await openOtlpReceiver()
  const args = ['--tracing.endpoint', receiver.endpoint]
  platform = await Platform.start({ nodes: 2, devicesPerNode: 1, args })
  traced = await TracedJob.run(platform, receiver)
}, 120_000)
afterAll(async () => {
  await platform.close()
  await receiver.close()
})

describe('the trace of a job', () => {
  it('goes from the caller through commits and calls to the placement', () => {
    const { callerId, spans } = traced
    const calls = spans.filter(({ parentSpanId }) => parentSpanId === callerId)
    expect(calls.map(({ name }) => name)).toEqual(['serverlessai.job.v1.JobService/SubmitJob'])
    expect(traced.toPlacement().map(({ error }) => error)).toEqual(Array(9).fill(''))
  })

  it('goes on in the started processes, and from them back to the end of the job', () => {
    // Topics have no order between each other: a task starts when both are there.
    const causes = [
      ...traced.all('pool-manager', 'consume GangPlaced'),
      ...traced.all('pool-manager', 'consume LaunchPrepared'),
    ]
    const tasks = traced.all('pool-manager', 'task')
    expect(tasks.map(({ attributes }) => attributes['sai.rank']).sort()).toEqual([0, 1])
    for (const { parentSpanId, error, attributes } of tasks) {
      expect(causes.map(({ spanId }) => spanId)).toContain(parentSpanId)
      expect({ error, job: attributes['sai.job'] }).toEqual({ error: '', job: traced.job.jobId })
    }
    const first = tasks.find(({ attributes }) => attributes['sai.rank'] === 0)
    const { parent } = JSON.parse(traced.job.resultJson)
    expect(parent).toBe(`00-${traced.traceId}-${first?.spanId}-01`)

    const started = traced.all('scheduler', 'consume TaskStarted')
    expect(started).toHaveLength(2)
    const exited = traced.all('scheduler', 'consume TaskExited')
    expect(exited).toHaveLength(2)
    const endings = traced
      .all('mediator', 'consume JobStateChanged')
      .map((span) => span.parentSpanId)
    expect(exited.filter(({ spanId }) => endings.includes(spanId))).not.toEqual([])
  })

  it('is one tree: every span but the first has its parent in it', () => {
    const trace = traced.spans
    const ids = new Set(trace.map(({ spanId }) => spanId))
    const orphans = trace.filter((span) => !ids.has(span.parentSpanId))
    expect(orphans.map(({ parentSpanId }) => parentSpanId)).toEqual([traced.callerId])
    expect(ids.size).toBe(trace.length)
    expect(trace.filter(({ error }) => error !== '')).toEqual([])
  })

  it('holds nothing of what others did', () => {
    const trace = traced.spans
    const keys = trace.flatMap(({ attributes }) => attributes['sai.key'] ?? [])
    expect(keys.length).toBeGreaterThan(5)
    for (const key of keys) expect(String(key)).toContain(traced.job.jobId)
    expect(receiver.spans.length).toBeGreaterThan(trace.length)
  })
})
