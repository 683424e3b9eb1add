import { createHash } from 'node:crypto'
import {
  CreateQueueRequest,
  type CreateQueueResponse,
  type ExplainRequest,
  type ExplainResponse,
  type ListQueuesRequest,
  type ListQueuesResponse,
  type QueueServiceService,
  type ResizeRequest,
  type ResizeResponse,
  type SchedulerServiceService,
  type ValidateRequest,
  type ValidateResponse,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { type CallContext, type HandlersOf, RpcError } from '@serverless-ai/kernel'
import { seesTenant } from '@serverless-ai/rpc'
import { callOptions, parsePosition, readOptions } from '@serverless-ai/runtime'
import { errorOf } from '../adapters/errors.ts'
import {
  giveUpFromProto,
  jobFromProto,
  queueFromProto,
  queueStatusToProto,
  queueToProto,
  reasonToProto,
  recoverFromProto,
  resizeFromProto,
  scaleToProto,
  updateFromProto,
  updateToProto,
} from '../adapters/protos.ts'
import { assessJob, type Explanation, explainJob } from '../core/explain.ts'
import type { SchedulerCommand } from '../core/messages.ts'
import { checkJob } from '../core/requests.ts'
import { scaleNow } from '../core/scale.ts'
import type { SchedulerState } from '../core/state.ts'
import { CommitPositions } from './commit-positions.ts'
import type { SchedulerRuntime } from './definition.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

/** Handlers of the RPCs over a running partition. */
export class SchedulerHandlers {
  readonly #runtime: SchedulerRuntime
  readonly #positions = new CommitPositions()

  constructor(runtime: SchedulerRuntime) {
    this.#runtime = runtime
    runtime.onEffective(({ atMs, token }) => this.#positions.note(atMs, token))
  }

  scheduler(): HandlersOf<typeof SchedulerServiceService> {
    return {
      validate: (request, context) => this.#validate(request, context),
      enqueue: ({ job }, context) =>
        this.#execute({ type: 'EnqueueJob', job: jobFromProto(job) }, context),
      cancel: ({ jobId, requestedBy }, context) =>
        this.#execute({ type: 'CancelJob', jobId, by: requestedBy }, context),
      recover: (request, context) => this.#execute(recoverFromProto(request), context),
      giveUp: (request, context) => this.#execute(giveUpFromProto(request), context),
      resize: (request, context) => this.#resize(request, context),
      update: (request, context) => this.#execute(updateFromProto(request), context),
      explain: (request, context) => this.#explain(request, context),
    }
  }

  queues(): HandlersOf<typeof QueueServiceService> {
    return {
      createQueue: (request, context) => this.#createQueue(request, context),
      listQueues: (request, context) => this.#listQueues(request, context),
    }
  }

  /** Idempotent by domain key: without a request id. */
  async #execute(command: SchedulerCommand, context: CallContext): Promise<{ position: string }> {
    const answer = await this.#runtime.execute(command, callOptions(context))
    if (!answer.ok) throw errorOf(answer.refusal)
    return { position: answer.position }
  }

  /** Answered with the scale after the placements of the same commit. */
  async #resize(request: ResizeRequest, context: CallContext): Promise<ResizeResponse> {
    const { position } = await this.#execute(resizeFromProto(request), context)
    const { value } = await this.#runtime.read(
      (state) => {
        const scale = scaleNow(state, request.jobId)
        const short = scale !== undefined && scale.granted < scale.state.wanted
        return { scale, reason: short ? explainJob(state, request.jobId)?.reason : undefined }
      },
      readOptions(context, position),
    )
    const { scale, reason } = value
    const waiting = reason === undefined ? undefined : reasonToProto(reason)
    return { position, scale: scaleToProto(scale), waiting }
  }

  async #validate(request: ValidateRequest, context: CallContext): Promise<ValidateResponse> {
    const asked = jobFromProto(request.job)
    const job = asked.jobId === '' ? { ...asked, jobId: 'unnamed' } : asked
    const look = async () => {
      const { value } = await this.#runtime.read((state) => {
        const refused = checkJob(state, job)
        return refused ?? { accepted: true as const, waiting: assessJob(state, job) }
      }, callOptions(context))
      return value
    }
    let value = await look()
    if (!value.accepted) {
      // Only a leader's state is fresh enough to say no; a follower says who leads. Who was one at
      // the first look may lead by now: it looks again.
      await this.#runtime.confirm()
      value = await look()
    }
    if (!value.accepted) throw errorOf(value.refusal)
    return { waiting: value.waiting === undefined ? undefined : reasonToProto(value.waiting) }
  }

  async #createQueue(
    request: CreateQueueRequest,
    context: CallContext,
  ): Promise<CreateQueueResponse> {
    const queue = queueFromProto(request.queue)
    const body = CreateQueueRequest.encode({ ...request, requestId: '' }).finish()
    const bodyHash = new Uint8Array(createHash('sha256').update(body).digest())
    const { requestId } = request
    const answer = await this.#runtime.execute(
      { type: 'CreateQueue', queue },
      { ...callOptions(context), requestId, bodyHash },
    )
    if (!answer.ok) throw errorOf(answer.refusal)
    return { queue: queueToProto(queue), position: answer.position }
  }

  async #listQueues(request: ListQueuesRequest, context: CallContext): Promise<ListQueuesResponse> {
    const size = Math.min(request.pageSize === 0 ? PAGE_DEFAULT : request.pageSize, PAGE_MAX)
    const { value, token } = await this.#runtime.read(
      (state) => {
        const mine = [...state.queues.values()]
          .filter(
            ({ spec }) =>
              spec.name > request.pageToken && seesTenant(context.principal, spec.tenant),
          )
          .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1))
        return { page: mine.slice(0, size).map(queueStatusToProto), more: mine.length > size }
      },
      readOptions(context, request.minPosition),
    )
    const last = value.page.at(-1)?.queue?.name ?? ''
    return { queues: value.page, nextPageToken: value.more ? last : '', position: token }
  }

  async #explain(request: ExplainRequest, context: CallContext): Promise<ExplainResponse> {
    const { jobId, atPosition, minPosition } = request
    const query = (state: SchedulerState) => explainJob(state, jobId)
    if (atPosition === '') {
      const now = await this.#runtime.read(query, readOptions(context, minPosition))
      return this.#answer(jobId, now.value, { context, position: now.token })
    }
    const at = parsePosition(atPosition)
    if (at.service !== this.#runtime.service || at.partition !== this.#runtime.partition) {
      throw new RpcError({
        code: 'INVALID_ARGUMENT',
        reason: 'POSITION_INVALID',
        message: `${atPosition} is no position of the scheduler of cell ${this.#runtime.partition}`,
      })
    }
    const then = await this.#runtime.readAt(at.position, query)
    return this.#answer(jobId, then, { context, position: atPosition })
  }

  #answer(
    jobId: string,
    explanation: Explanation | undefined,
    about: { context: CallContext; position: string },
  ): ExplainResponse {
    if (explanation === undefined || !seesTenant(about.context.principal, explanation.tenant)) {
      throw errorOf({ reason: 'JOB_NOT_FOUND', details: { jobId } })
    }
    const { state, reason, generation, queuePosition } = explanation
    return {
      state,
      reason:
        reason === undefined ? undefined : reasonToProto(reason, Math.max(0, queuePosition - 1)),
      generation,
      story: explanation.story.map(({ atMs, code, details }) => ({
        atMs: BigInt(Math.floor(atMs)),
        position: this.#positions.at(atMs),
        service: 'scheduler',
        code,
        details: { ...details },
      })),
      position: about.position,
      queuePosition,
      scale: scaleToProto(explanation.scale),
      update: updateToProto(explanation.update),
    }
  }
}
