import type { ExplainJobRequest, ExplainJobResponse } from '@serverless-ai/contracts/job/v1/job'
import type { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import type { ExplainResponse, StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type CallContext, type ClientOf, RpcError } from '@serverless-ai/kernel'
import { reasonToProto } from '../adapters/reason.ts'
import { isFinished, type JobRecord } from '../core/model.ts'
import { visibleJob } from './access.ts'
import type { MediatorRuntime, SchedulerClient } from './definition.ts'

const OWNER_TIMEOUT_MS = 5_000
/** Order of entries of the same time: what was asked for, what was decided, what followed. */
const OWNERS = ['mediator', 'scheduler', 'fault-tolerance']

export type RecoveryClient = ClientOf<RecoveryServiceService>

type Own = Pick<JobRecord, 'state' | 'generation' | 'message'> & {
  readonly name: string
  readonly enqueued: boolean
  readonly reason: ExplainJobResponse['reason']
  readonly story: readonly StoryEntry[]
}

function ownOf(job: JobRecord): Own {
  const { state, generation, message, enqueued } = job
  return {
    state,
    generation,
    message,
    enqueued,
    name: job.spec.name,
    reason: isFinished(state) ? undefined : reasonToProto(job.reason),
    story: job.story.map(({ atMs, code, details }) => ({
      atMs: BigInt(atMs),
      position: '',
      service: 'mediator',
      code,
      details: { ...details },
    })),
  }
}

/** Merges by time; entries of the same time by owner, entries of one owner in their order. */
function mergeStories(stories: readonly (readonly StoryEntry[])[]): StoryEntry[] {
  const rank = ({ service }: StoryEntry) => {
    const index = OWNERS.indexOf(service)
    return index < 0 ? OWNERS.length : index
  }
  return stories.flat().sort((a, b) => Number(a.atMs - b.atMs) || rank(a) - rank(b))
}

const reasonOf = (error: unknown): string =>
  error instanceof RpcError ? `${error.reason} (${error.message})` : String(error)

/** Answers why a job is as it is, from the owners' explanations. */
export class ExplainHandler {
  readonly #runtime: MediatorRuntime
  readonly #scheduler: SchedulerClient
  readonly #recovery: RecoveryClient

  constructor(init: {
    runtime: MediatorRuntime
    scheduler: SchedulerClient
    recovery: RecoveryClient
  }) {
    this.#runtime = init.runtime
    this.#scheduler = init.scheduler
    this.#recovery = init.recovery
  }

  async explain(request: ExplainJobRequest, context: CallContext): Promise<ExplainJobResponse> {
    const { jobId, atPosition } = request
    const { value: own } = await this.#runtime.read((state) =>
      ownOf(visibleJob(state, jobId, context.principal)),
    )
    const missing: string[] = []
    const scheduled = await this.#askScheduler({ request, own, context, missing })
    // The past ends with the last thing the scheduler had recorded at that position.
    const untilMs = atPosition === '' ? 0n : (scheduled?.story.at(-1)?.atMs ?? 0n)
    const incidents = await this.#askRecovery({ jobId, untilMs, context, missing })
    const before = own.story.filter(({ atMs }) => untilMs === 0n || atMs <= untilMs)
    return {
      state: scheduled?.state ?? own.state,
      reason: scheduled === undefined ? own.reason : scheduled.reason,
      story: mergeStories([before, scheduled?.story ?? [], incidents]),
      position: scheduled?.position ?? '',
      queuePosition: scheduled?.queuePosition ?? 0,
      missing,
      name: own.name,
      generation: scheduled?.generation ?? own.generation,
      scale: scheduled?.scale,
    }
  }

  async #askScheduler(init: {
    request: ExplainJobRequest
    own: Own
    context: CallContext
    missing: string[]
  }): Promise<ExplainResponse | undefined> {
    const { request, own, context, missing } = init
    const { jobId, atPosition } = request
    try {
      return await this.#scheduler.explain(
        { jobId, atPosition, minPosition: '' },
        { signal: context.signal, timeoutMs: OWNER_TIMEOUT_MS },
      )
    } catch (error) {
      // A past position has no other source, and a wrong one is the caller's to mend.
      if (atPosition !== '') throw error
      const unknown = error instanceof RpcError && error.code === 'NOT_FOUND'
      if (!unknown || own.enqueued) missing.push(`scheduler: ${reasonOf(error)}`)
      return undefined
    }
  }

  async #askRecovery(init: {
    jobId: string
    untilMs: bigint
    context: CallContext
    missing: string[]
  }): Promise<readonly StoryEntry[]> {
    const { jobId, untilMs, context, missing } = init
    const options = { signal: context.signal, timeoutMs: OWNER_TIMEOUT_MS }
    try {
      const { story } = await this.#recovery.explainIncidents({ jobId, untilMs }, options)
      return story
    } catch (error) {
      // Fault tolerance knows jobs that it was told of: one without incidents may be none.
      if (error instanceof RpcError && error.code === 'NOT_FOUND') return []
      missing.push(`fault-tolerance: ${reasonOf(error)}`)
      return []
    }
  }
}
