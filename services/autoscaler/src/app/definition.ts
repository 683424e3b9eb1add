import type {
  ResizeRequest,
  SchedulerServiceService,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { type ClientOf, type EffectRequest, invariant, RpcError } from '@serverless-ai/kernel'
import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { scaleFromProto } from '../adapters/from-proto.ts'
import { inputs, waitingOf } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { OWNER } from '../core/control.ts'
import { autoscalerDecider } from '../core/decider.ts'
import type { AutoscalerCommand, AutoscalerEvent, ResizeOutcome } from '../core/messages.ts'
import type { AutoscalerState } from '../core/model.ts'

/** Runtime of the autoscaler. */
export type AutoscalerRuntime = ServiceRuntime<AutoscalerState, AutoscalerCommand, AutoscalerEvent>

/** How the scheduler is reached. */
export type SchedulerClient = Pick<ClientOf<typeof SchedulerServiceService>, 'resize'>

/** Refusals that settle a decision: asking again would get the same answer. */
const FINAL_REASONS: ReadonlySet<string> = new Set([
  'FEATURE_NOT_ENABLED',
  'INVALID_SPEC',
  'JOB_FINISHED',
  'JOB_NOT_FOUND',
  'NOT_SCALABLE',
  'RESIZE_COOLDOWN',
  'SCALE_OUT_OF_RANGE',
  'SCALE_OWNED',
  'STALE_SCALE',
])

type ResizePayload = {
  readonly jobId: string
  readonly wanted: number
  readonly expectedVersion: number
  readonly decisionId: string
  readonly cause: string
}

function refused({ reason, metadata }: RpcError): ResizeOutcome {
  const numbers: Record<string, number> = {}
  for (const [name, value] of Object.entries(metadata)) {
    const number = Number(value)
    if (value !== '' && Number.isFinite(number)) numbers[name] = number
  }
  return { at: 'Refused', code: reason, numbers }
}

async function resize(
  scheduler: SchedulerClient,
  payload: ResizePayload,
  signal: AbortSignal,
): Promise<ResizeOutcome> {
  const { expectedVersion, ...rest } = payload
  const request: ResizeRequest = {
    ...rest,
    expectedVersion: BigInt(expectedVersion),
    owner: OWNER,
    by: OWNER,
    release: false,
  }
  try {
    const { scale, waiting } = await scheduler.resize(request, { signal })
    invariant(scale !== undefined, 'an answer of the scheduler without a scale')
    return { at: 'Taken', scale: scaleFromProto(scale), waiting: waitingOf(waiting?.code) }
  } catch (error) {
    if (error instanceof RpcError && FINAL_REASONS.has(error.reason)) return refused(error)
    throw error
  }
}

/** The autoscaler as a service of the log. `scheduler` is called when a decision is due. */
export function autoscalerDefinition(
  scheduler: SchedulerClient,
): ServiceDefinition<AutoscalerState, AutoscalerCommand, AutoscalerEvent> {
  return {
    name: 'autoscaler',
    schemaVersion: 1,
    decider: autoscalerDecider,
    publish,
    snapshotFeed,
    inputs,
    async perform(effect: EffectRequest, { signal }) {
      const payload = effect.payload as ResizePayload
      const outcome = await resize(scheduler, payload, signal)
      const { jobId, decisionId } = payload
      return { type: 'SettleResize', jobId, decisionId, outcome }
    },
  }
}
