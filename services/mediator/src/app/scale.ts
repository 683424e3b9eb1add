import type { ScaleJobRequest, ScaleJobResponse } from '@serverless-ai/contracts/job/v1/job'
import type { CallContext } from '@serverless-ai/kernel'
import { rpcError } from '@serverless-ai/rpc'
import { visibleJob } from './access.ts'
import type { MediatorRuntime, SchedulerClient } from './definition.ts'

const SCALE_TIMEOUT_MS = 10_000

/** An absent number is no zero: that would end all replicas. */
const nothingAsked = () => {
  const message = 'name how many there shall be in `wanted`, or give the decision back: `automatic`'
  const violations = [{ field: 'wanted', description: message }]
  return rpcError('SCALE_OUT_OF_RANGE', { message, violations })
}

/**
 * Scales jobs. The scale is the scheduler's: it is asked at once, and nothing is kept here. The id
 * of the request is the id of the decision, so a repeated one decides nothing anew.
 */
export class ScaleHandler {
  readonly #runtime: MediatorRuntime
  readonly #scheduler: SchedulerClient

  constructor(init: { runtime: MediatorRuntime; scheduler: SchedulerClient }) {
    this.#runtime = init.runtime
    this.#scheduler = init.scheduler
  }

  async scale(request: ScaleJobRequest, context: CallContext): Promise<ScaleJobResponse> {
    const { principal, signal } = context
    const { jobId, wanted, automatic, requestId } = request
    if (wanted === undefined && !automatic) throw nothingAsked()
    const look = () =>
      this.#runtime.read((state) => visibleJob(state, jobId, principal), { signal })
    // A follower may not have heard of the job yet: that there is none is said by a leader alone.
    await look().catch(async () => {
      await this.#runtime.confirm()
      await look()
    })
    return this.#scheduler.resize(
      {
        jobId,
        wanted: wanted ?? 0,
        expectedVersion: 0n,
        owner: 'user',
        by: principal.subject,
        decisionId: requestId,
        cause: automatic ? 'given back to the autoscaler' : 'asked for by a user',
        release: automatic,
      },
      { signal, timeoutMs: context.timeoutMs ?? SCALE_TIMEOUT_MS },
    )
  }
}
