import { randomBytes } from 'node:crypto'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { requestId, untilJob } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import type { Platform } from '../../support/platform.ts'
import { prepareQueue } from '../node-faults.ts'
import type { OtlpReceiver, ReceivedSpan } from './otlp-receiver.ts'

/** A job that was submitted as part of a trace, and the trace when all of it had arrived. */
export class TracedJob {
  readonly job: Job
  readonly traceId: string
  /** Id of the span that its submission came from. */
  readonly callerId: string
  readonly spans: readonly ReceivedSpan[]

  private constructor(init: {
    job: Job
    traceId: string
    callerId: string
    spans: readonly ReceivedSpan[]
  }) {
    this.job = init.job
    this.traceId = init.traceId
    this.callerId = init.callerId
    this.spans = init.spans
  }

  /** Runs a job of two tasks that report their `TRACEPARENT`, and then ends the platform. */
  static async run(platform: Platform, receiver: OtlpReceiver): Promise<TracedJob> {
    const traceId = randomBytes(16).toString('hex')
    const callerId = randomBytes(8).toString('hex')
    await prepareQueue(platform)
    const team = platform.as('team-a')
    const report = '{\\"kind\\":\\"result\\",\\"parent\\":\\"$TRACEPARENT\\"}'
    const command = ['sh', '-c', `echo "${report}" >> $SAI_REPORT`]
    const manifest = jobManifest('traced', { tasks: 2, command })
    const none = { tenant: '', fileName: '', validateOnly: false }
    const metadata = { traceparent: `00-${traceId}-${callerId}-01` }
    const request = { ...none, manifest, requestId: requestId() }
    const { job: submitted } = await team.jobs.submitJob(request, { metadata })
    const jobId = submitted?.jobId ?? ''
    const succeeded = (now: Job) => now.state === Job_State.SUCCEEDED && now.resultJson !== ''
    const job = await untilJob(team, jobId, 'ends', succeeded, 60_000)
    // What is on its way is sent at the end.
    await platform.interrupt()
    const spans = receiver.spans.filter((span) => span.traceId === traceId)
    return new TracedJob({ job, traceId, callerId, spans })
  }

  /** Spans with this name in a service; `service` empty = calls, which are of no service. */
  all(service: string, name: string): readonly ReceivedSpan[] {
    const of = ({ attributes }: ReceivedSpan) => attributes['sai.service'] ?? ''
    return this.spans.filter((span) => span.name === name && of(span) === service)
  }

  /**
   * The one span with this name in a service that began under one of `parents`, and did not fail.
   */
  child(parents: readonly ReceivedSpan[], service: string, name: string): ReceivedSpan {
    const ids = parents.map(({ spanId }) => spanId)
    const [found, second] = this.all(service, name).filter(
      ({ parentSpanId, error }) => ids.includes(parentSpanId) && error === '',
    )
    if (found !== undefined && second === undefined) return found
    const text = this.spans.map(({ spanId, parentSpanId, attributes, name: its, error }) => {
      return `${spanId} under ${parentSpanId}: ${attributes['sai.service'] ?? ''} ${its} ${error}`
    })
    throw new Error(`not one '${name}' of '${service}' under ${ids}:\n${text.join('\n')}`)
  }

  /** From the caller through commits and calls to the placement: throws where a link is missing. */
  toPlacement(): readonly ReceivedSpan[] {
    const enqueue = 'serverlessai.schedule.v1.SchedulerService/Enqueue'
    const calls = this.spans.filter(({ parentSpanId }) => parentSpanId === this.callerId)
    const commit = this.child(calls, 'mediator', 'commit SubmitJob')
    const effect = this.child([commit], 'mediator', 'effect enqueue')
    const made = this.child([effect], '', enqueue)
    const served = this.child([made], '', enqueue)
    const queued = this.child([served], 'scheduler', 'commit EnqueueJob')
    const noted = this.child([queued], 'pool-manager', 'consume GangPlaced')
    const known = this.child([queued], 'fault-tolerance', 'consume GangPlaced')
    const placed = this.child([queued], 'mediator', 'consume GangPlaced')
    const launched = this.child([placed], 'pool-manager', 'consume LaunchPrepared')
    return [commit, effect, made, served, queued, noted, known, placed, launched]
  }
}
