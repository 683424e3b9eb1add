import { createHash } from 'node:crypto'
import {
  type DemandRequest,
  type DemandResponse,
  type ExplainRequest,
  type ExplainResponse,
  type ListTargetsRequest,
  type ListTargetsResponse,
  type ScalingServiceService,
  SetModeRequest,
  type SetModeResponse,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import type { CallContext, Clock, HandlersOf, Principal } from '@serverless-ai/kernel'
import { rpcError, seesTenant } from '@serverless-ai/rpc'
import { callOptions, parsePosition, readNow, storyUntil } from '@serverless-ai/runtime'
import { NAME_MAX } from '@serverless-ai/telemetry-bus'
import { errorOf } from '../adapters/errors.ts'
import { modeFromProto } from '../adapters/from-proto.ts'
import { briefly, budgetToProto, decisionToProto, targetToProto } from '../adapters/to-proto.ts'
import type { AutoscalerState, Target } from '../core/model.ts'
import type { AutoscalerRuntime } from './definition.ts'
import type { Stepper } from './stepper.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

const notFound = (target: string) => errorOf({ reason: 'TARGET_NOT_FOUND', details: { target } })

/** By job id, or by a name: of the own tenant, for operators one that is unique. */
function search(
  targets: readonly Target[],
  typed: string,
  principal: Principal,
): Target | undefined {
  const seen = targets.filter(({ tenant }) => seesTenant(principal, tenant))
  const byId = seen.find(({ jobId }) => jobId === typed)
  const [only, second] = seen.filter(({ name }) => name === typed)
  return byId ?? (second === undefined ? only : undefined)
}

/** `over`: one that has ended does as well, the newest of its name. */
function find(
  state: AutoscalerState,
  typed: string,
  { principal, over = false }: { readonly principal: Principal; readonly over?: boolean },
): Target {
  const found = search([...state.targets.values()], typed, principal)
  if (found !== undefined) return found
  const ended = over ? state.ended.toReversed() : []
  const past = ended.find(
    ({ jobId, name, tenant }) =>
      (jobId === typed || name === typed) && seesTenant(principal, tenant),
  )
  if (past === undefined) throw notFound(typed)
  return past
}

/** Business side of `ScalingService`. */
export class ScalingHandlers {
  readonly #runtime: AutoscalerRuntime
  readonly #stepper: Stepper
  readonly #clock: Clock

  constructor(runtime: AutoscalerRuntime, stepper: Stepper, clock: Clock) {
    this.#runtime = runtime
    this.#stepper = stepper
    this.#clock = clock
  }

  handlers(): HandlersOf<typeof ScalingServiceService> {
    return {
      demand: (request, context) => this.#demand(request, context),
      listTargets: (request, context) => this.#list(request, context),
      getTarget: async (request, context) => {
        const { value, token } = await this.#read(
          (state, atMs) => targetToProto(find(state, request.target, context), atMs),
          context,
          request.minPosition,
        )
        return { target: value, position: token }
      },
      explain: (request, context) => this.#explain(request, context),
      setMode: (request, context) => this.#setMode(request, context),
    }
  }

  /** `atMs`: now, not before the last commit. */
  #read<T>(
    query: (state: AutoscalerState, atMs: number) => T,
    context: CallContext,
    minPosition = '',
  ): Promise<{ value: T; token: string }> {
    const now = { wallMs: this.#clock.wallMs(), context, minPosition }
    return readNow(this.#runtime, now, query)
  }

  /** Commits nothing itself: what is held is part of the next step. */
  async #demand(request: DemandRequest, context: CallContext): Promise<DemandResponse> {
    // Says who leads, where this replica does not.
    if (!this.#stepper.leading) await this.#runtime.confirm()
    const { jobId, queued, gateway } = request
    const { value: wanted } = await this.#runtime.read(
      (state) => state.targets.get(jobId)?.scale?.wanted,
      callOptions(context),
    )
    if (wanted === undefined) throw notFound(jobId)
    const named = gateway.startsWith('gateway/') && gateway.length <= NAME_MAX
    const about = { jobId, queued, gateway: named ? gateway : 'gateway/unnamed' }
    this.#stepper.demand(about, wanted === 0)
    return { wanted }
  }

  async #list(request: ListTargetsRequest, context: CallContext): Promise<ListTargetsResponse> {
    const size = Math.min(request.pageSize === 0 ? PAGE_DEFAULT : request.pageSize, PAGE_MAX)
    const { value, token } = await this.#read(
      (state, atMs) => {
        const mine = [...state.targets.values()]
          .filter(({ tenant }) => seesTenant(context.principal, tenant))
          .filter(({ jobId }) => jobId > request.pageToken)
          .sort((a, b) => (a.jobId < b.jobId ? -1 : 1))
        const targets = mine.slice(0, size).map((target) => {
          const told = targetToProto(target, atMs)
          return { ...told, decision: told.decision && briefly(told.decision) }
        })
        return { targets, more: mine.length > size, budget: budgetToProto(state) }
      },
      context,
      request.minPosition,
    )
    const { targets, more, budget } = value
    const nextPageToken = more ? (targets.at(-1)?.jobId ?? '') : ''
    return { targets, nextPageToken, budget, position: token }
  }

  async #explain(request: ExplainRequest, context: CallContext): Promise<ExplainResponse> {
    const untilMs = request.untilMs === 0n ? Number.POSITIVE_INFINITY : Number(request.untilMs)
    const query = (state: AutoscalerState, atMs: number) => {
      const { principal } = context
      const target = find(state, request.target, { principal, over: true })
      return {
        target: targetToProto(target, atMs),
        decisions: target.decisions
          .filter((decision) => decision.atMs <= untilMs)
          .map((decision) => decisionToProto(target.jobId, decision)),
        story: storyUntil('autoscaler', target.story, untilMs),
      }
    }
    const { atPosition } = request
    if (atPosition === '') {
      const { value, token } = await this.#read(query, context)
      return { ...value, position: token }
    }
    const at = parsePosition(atPosition)
    if (at.service !== 'autoscaler') {
      throw rpcError('POSITION_INVALID', { metadata: { position: atPosition } })
    }
    const then = await this.#runtime.readAt(at.position, (state, { atMs }) => query(state, atMs))
    return { ...then, position: atPosition }
  }

  async #setMode(request: SetModeRequest, context: CallContext): Promise<SetModeResponse> {
    const mode = modeFromProto(request.mode)
    const { value: jobId } = await this.#read(
      (state) => find(state, request.target, context).jobId,
      context,
    )
    const body = SetModeRequest.encode({ ...request, requestId: '' }).finish()
    const bodyHash = new Uint8Array(createHash('sha256').update(body).digest())
    const { requestId } = request
    const answer = await this.#runtime.execute(
      { type: 'SetMode', jobId, mode },
      { ...callOptions(context), ...(requestId === '' ? {} : { requestId, bodyHash }) },
    )
    if (!answer.ok) throw errorOf(answer.refusal)
    const { value } = await this.#read(
      (state, atMs) => {
        const target = state.targets.get(jobId)
        return target && targetToProto(target, atMs)
      },
      context,
      answer.position,
    )
    return { target: value, position: answer.position }
  }
}
