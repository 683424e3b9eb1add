import type {
  ExplainProfileRequest,
  ExplainProfileResponse,
  ForecastRequest,
  ForecastResponse,
  ListProfilesRequest,
  ListProfilesResponse,
  ProfileServiceService,
} from '@serverless-ai/contracts/profile/v1/profile'
import type { CallContext, Clock, HandlersOf, Principal } from '@serverless-ai/kernel'
import { seesTenant } from '@serverless-ai/rpc'
import { readNow, storyUntil } from '@serverless-ai/runtime'
import { horizonInvalid, jobNotFound } from '../adapters/errors.ts'
import { forecastOf } from '../adapters/forecast.ts'
import { profileToProto } from '../adapters/to-proto.ts'
import {
  BUCKET_MS,
  HORIZON_MAX_MS,
  HORIZON_MS,
  type JobState,
  newLoad,
  type ProfilerState,
} from '../core/model.ts'
import type { ProfilerRuntime } from './definition.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

/** A job that the caller may see. What was never placed has no profile. */
function find(state: ProfilerState, jobId: string, principal: Principal): JobState {
  const job = state.jobs.get(jobId)
  if (job?.placed !== true || !seesTenant(principal, job.tenant)) throw jobNotFound(jobId)
  return job
}

/** Business side of `ProfileService`. */
export class ProfileHandlers {
  readonly #runtime: ProfilerRuntime
  readonly #clock: Clock

  constructor(runtime: ProfilerRuntime, clock: Clock) {
    this.#runtime = runtime
    this.#clock = clock
  }

  handlers(): HandlersOf<typeof ProfileServiceService> {
    return {
      getProfile: async ({ jobId, minPosition }, context) => {
        const { value, token } = await this.#read(
          (state, nowMs) => profileToProto(find(state, jobId, context.principal), nowMs),
          context,
          minPosition,
        )
        return { profile: value, position: token }
      },
      listProfiles: (request, context) => this.#list(request, context),
      forecast: (request, context) => this.#forecast(request, context),
      explainProfile: (request, context) => this.#explain(request, context),
    }
  }

  /** `nowMs`: now, not before the last commit. */
  #read<T>(
    query: (state: ProfilerState, nowMs: number) => T,
    context: CallContext,
    minPosition = '',
  ): Promise<{ value: T; token: string }> {
    const now = { wallMs: Math.round(this.#clock.wallMs()), context, minPosition }
    return readNow(this.#runtime, now, query)
  }

  async #list(request: ListProfilesRequest, context: CallContext): Promise<ListProfilesResponse> {
    const size = Math.min(request.pageSize === 0 ? PAGE_DEFAULT : request.pageSize, PAGE_MAX)
    const { value, token } = await this.#read(
      (state, nowMs) => {
        const mine = [...state.jobs.values()]
          .filter((job) => job.placed && seesTenant(context.principal, job.tenant))
          .filter(({ jobId }) => jobId > request.pageToken)
          .sort((a, b) => (a.jobId < b.jobId ? -1 : 1))
        const page = mine.slice(0, size).map((job) => profileToProto(job, nowMs))
        return { page, more: mine.length > size }
      },
      context,
      request.minPosition,
    )
    const last = value.page.at(-1)?.jobId ?? ''
    return { profiles: value.page, nextPageToken: value.more ? last : '', position: token }
  }

  async #forecast(request: ForecastRequest, context: CallContext): Promise<ForecastResponse> {
    const { jobId, minPosition } = request
    const horizonMs = request.horizonMs === 0n ? HORIZON_MS : Number(request.horizonMs)
    if (horizonMs < BUCKET_MS || horizonMs > HORIZON_MAX_MS) {
      throw horizonInvalid(request.horizonMs, { min: BUCKET_MS, max: HORIZON_MAX_MS })
    }
    const { value, token } = await this.#read(
      (state, nowMs) => {
        const service = state.services.get(jobId)
        if (service === undefined || !seesTenant(context.principal, service.tenant)) {
          throw jobNotFound(jobId)
        }
        return forecastOf(state.loads.get(jobId) ?? newLoad(jobId), horizonMs, nowMs)
      },
      context,
      minPosition,
    )
    return { jobId, ...value, position: token }
  }

  async #explain(
    request: ExplainProfileRequest,
    context: CallContext,
  ): Promise<ExplainProfileResponse> {
    const until = request.untilMs === 0n ? Number.POSITIVE_INFINITY : Number(request.untilMs)
    const { value, token } = await this.#read(
      (state) => find(state, request.jobId, context.principal).story,
      context,
    )
    return { story: storyUntil('resource-profiler', value, until), position: token }
  }
}
