import { createHash } from 'node:crypto'
import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  type CancelJobRequest,
  type CancelJobResponse,
  type GetJobRequest,
  type GetJobResponse,
  Job,
  type Job_State,
  type ListJobsRequest,
  type ListJobsResponse,
  type WatchJobRequest,
  type WatchJobResponse,
} from '@serverless-ai/contracts/job/v1/job'
import type { CallContext, Timers } from '@serverless-ai/kernel'
import { readOptions } from '@serverless-ai/runtime'
import { errorOf, mediatorError } from '../adapters/errors.ts'
import { jobToProto, stateToProto } from '../adapters/job.ts'
import { isFinished, type JobRecord, type MediatorState } from '../core/model.ts'
import { scopeOf, visibleJob } from './access.ts'
import { type JobChanges, Wake } from './changes.ts'
import type { MediatorRuntime } from './definition.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1000
const HEARTBEAT_MS = 10_000
const WATCHERS_MAX = 10_000

interface PageToken {
  readonly submittedMs: number
  readonly jobId: string
}

function parseToken(text: string): PageToken | undefined {
  if (text === '') return undefined
  const match = /^(\d{1,15}):([a-z0-9-]{1,64})$/.exec(text)
  if (match === null) throw mediatorError('INVALID_PAGE_TOKEN')
  return { submittedMs: Number(match[1]), jobId: match[2] ?? '' }
}

/** The jobs older than the token's, newest first; also when the token's own job is forgotten. */
function* olderThan(state: MediatorState, token: PageToken | undefined): Iterable<JobRecord> {
  const newestFirst = [...state.jobs.values()].reverse()
  let passed = token === undefined || !state.jobs.has(token.jobId)
  for (const job of newestFirst) {
    if (passed && (token === undefined || job.submittedMs <= token.submittedMs)) yield job
    if (job.jobId === token?.jobId) passed = true
  }
}

function page(init: {
  state: MediatorState
  request: ListJobsRequest
  scope: string
  size: number
  token: PageToken | undefined
}): { jobs: Job[]; nextPageToken: string } {
  const { state, request, scope, size, token } = init
  const states = new Set<Job_State>(request.states)
  const jobs: Job[] = []
  for (const job of olderThan(state, token)) {
    if (scope !== '' && job.tenant !== scope) continue
    if (request.queue !== '' && job.spec.queue !== request.queue) continue
    if (states.size > 0 && !states.has(stateToProto(job.state))) continue
    const last = jobs.at(-1)
    if (jobs.length === size && last !== undefined) {
      return { jobs, nextPageToken: `${last.submittedMs}:${last.jobId}` }
    }
    jobs.push(jobToProto(job, { manifest: false }))
  }
  return { jobs, nextPageToken: '' }
}

/** A job as it was told to a watcher, and where in the log it was so. */
interface Told {
  readonly job: Job
  readonly token: string
  readonly position: number
}

const sameJob = (one: { readonly job: Job | undefined }, other: Told): boolean =>
  one.job !== undefined &&
  Buffer.compare(encodeMessage(Job, one.job), encodeMessage(Job, other.job)) === 0

/** Reads, watches and cancels jobs. */
export class JobHandlers {
  readonly #runtime: MediatorRuntime
  readonly #changes: JobChanges
  readonly #timers: Timers

  constructor(init: { runtime: MediatorRuntime; changes: JobChanges; timers: Timers }) {
    this.#runtime = init.runtime
    this.#changes = init.changes
    this.#timers = init.timers
  }

  async get(request: GetJobRequest, context: CallContext): Promise<GetJobResponse> {
    const { value, token } = await this.#runtime.read(
      (state) =>
        jobToProto(visibleJob(state, request.jobId, context.principal), { manifest: true }),
      readOptions(context, request.minPosition),
    )
    return { job: value, position: token }
  }

  async list(request: ListJobsRequest, context: CallContext): Promise<ListJobsResponse> {
    const { pageSize } = request
    if (pageSize > PAGE_MAX) throw mediatorError('INVALID_PAGE_SIZE', { pageSize })
    const token = parseToken(request.pageToken)
    const scope = scopeOf(context.principal)
    const size = pageSize === 0 ? PAGE_DEFAULT : pageSize
    const { value, token: position } = await this.#runtime.read(
      (state) => page({ state, request, scope, size, token }),
      readOptions(context, request.minPosition),
    )
    return { ...value, position }
  }

  async *watch(request: WatchJobRequest, context: CallContext): AsyncGenerator<WatchJobResponse> {
    if (this.#changes.count >= WATCHERS_MAX) {
      throw mediatorError('TOO_MANY_WATCHERS', { max: WATCHERS_MAX })
    }
    const { jobId } = request
    const wake = new Wake()
    // Only the newest change waits for a slow reader: the buffer is one job.
    let waiting: (Omit<Told, 'job'> & { readonly job: Job | undefined }) | undefined
    const stop = this.#changes.listen(jobId, (job, { position, token }) => {
      waiting = { job: job && jobToProto(job, { manifest: true }), token, position }
      wake.set()
    })
    const read = async (minPosition: string): Promise<Told> => {
      const { value, token } = await this.#runtime.read(
        (state, at) => ({
          job: jobToProto(visibleJob(state, jobId, context.principal), { manifest: true }),
          position: at.position,
        }),
        readOptions(context, minPosition),
      )
      return { ...value, token }
    }
    try {
      let last = await read(request.resumeAfter)
      yield { job: last.job, position: last.token }
      while (!isEnd(last.job)) {
        const woken = await wake.wait(this.#timers, HEARTBEAT_MS, context.signal)
        const change = waiting
        waiting = undefined
        // A replica that folds again tells the past anew, and what a snapshot brings not at all.
        const next = woken ? change : await read(last.token)
        if (next === undefined || next.position <= last.position || sameJob(next, last)) {
          yield { job: undefined, position: last.token }
          continue
        }
        if (next.job === undefined) return
        last = { ...next, job: next.job }
        yield { job: last.job, position: last.token }
      }
    } finally {
      stop()
    }
  }

  async cancel(request: CancelJobRequest, context: CallContext): Promise<CancelJobResponse> {
    const { principal, signal } = context
    const { jobId, requestId } = request
    // Not in a commit: who may not see a job learns nothing. That there is none is said from a
    // state that was read after the proof of leadership: a follower may not have heard of the job
    // yet, and lead by the time it is asked for the proof.
    const look = () =>
      this.#runtime.read((state) => visibleJob(state, jobId, principal), { signal })
    await look().catch(async () => {
      await this.#runtime.confirm()
      await look()
    })
    const command = {
      type: 'CancelJob',
      jobId,
      tenant: scopeOf(principal),
      by: principal.subject,
    } as const
    const answer = await this.#runtime.execute(command, {
      ...(requestId === '' ? {} : { requestId, bodyHash: cancelHash(command) }),
      signal,
    })
    if (!answer.ok) throw errorOf(answer.refusal)
    const { value } = await this.#runtime.read((state) =>
      jobToProto(visibleJob(state, jobId, principal), { manifest: true }),
    )
    return { job: value, position: answer.position }
  }
}

/** Tells a repeated request from another one under the same id, those of other methods included. */
const cancelHash = ({ jobId, tenant }: { jobId: string; tenant: string }): Uint8Array =>
  createHash('sha256')
    .update(JSON.stringify(['CancelJob', tenant, jobId]))
    .digest()

const FINISHED: ReadonlySet<Job_State> = new Set(
  (['Succeeded', 'Failed', 'Cancelled', 'Rejected'] as const).filter(isFinished).map(stateToProto),
)

const isEnd = (job: Job): boolean => FINISHED.has(job.state)
