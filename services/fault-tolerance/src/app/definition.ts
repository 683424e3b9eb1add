import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type ClientOf, type EffectRequest, invariant, RpcError } from '@serverless-ai/kernel'
import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { faultDecider } from '../core/decider.ts'
import { type FaultCommand, type FaultEvent, SERVING_EVENTS } from '../core/messages.ts'
import type { FaultState } from '../core/model.ts'
import { SERVING_LEVEL } from '../core/serving.ts'

/** Runtime of fault tolerance. */
export type FaultRuntime = ServiceRuntime<FaultState, FaultCommand, FaultEvent>

/** How the scheduler is reached. */
export type SchedulerClient = Pick<ClientOf<typeof SchedulerServiceService>, 'recover' | 'giveUp'>

/**
 * Refusals that settle an effect: the scheduler knows better, asking again would not change its
 * mind.
 */
const FINAL_REASONS: ReadonlySet<string> = new Set([
  'STALE_GENERATION',
  'JOB_FINISHED',
  'JOB_NOT_FOUND',
  'GANG_NOT_FOUND',
  'NOT_FOUND',
  'UNKNOWN_JOB',
])

type RecoverPayload = {
  jobId: string
  gang: number
  expectedGeneration: number
  incidentId: string
  checkpointPath: string
  checkpointStep: number
  notBeforeMs: number
  avoidNodes: string[]
  cause: string
  restartsCharged: number
}
type GiveUpPayload = {
  jobId: string
  gang: number
  expectedGeneration: number
  incidentId: string
  cause: string
  code: string
}

async function call(scheduler: SchedulerClient, effect: EffectRequest, signal: AbortSignal) {
  if (effect.kind === 'GiveUp') {
    return scheduler.giveUp(effect.payload as GiveUpPayload, { signal })
  }
  invariant(effect.kind === 'Recover', `unknown effect ${effect.kind}`)
  const { jobId, gang, expectedGeneration, ...plan } = effect.payload as RecoverPayload
  return scheduler.recover(
    {
      jobId,
      gang,
      expectedGeneration,
      plan: {
        ...plan,
        checkpointStep: BigInt(plan.checkpointStep),
        notBeforeMs: BigInt(plan.notBeforeMs),
      },
    },
    { signal },
  )
}

/** `judge:<incident>`, `startup:<job>:<gang>:<generation>`, `notice:<job>:<gang>:<generation>`. */
export function commandOfTimer(key: string): FaultCommand {
  const [kind = '', id = '', gang = '', generation = ''] = key.split(':')
  const of = { jobId: id, gang: Number(gang), generation: Number(generation) }
  if (kind === 'startup') return { type: 'NoteNeverReady', ...of }
  return kind === 'notice' ? { type: 'EndNotice', ...of } : { type: 'Judge', incidentId: id }
}

/** Fault tolerance as a service of the log. `scheduler` is called when an effect is due. */
export function faultToleranceDefinition(
  scheduler: SchedulerClient,
): ServiceDefinition<FaultState, FaultCommand, FaultEvent> {
  return {
    name: 'fault-tolerance',
    schemaVersion: 1,
    eventLevels: Object.fromEntries(SERVING_EVENTS.map((type) => [type, SERVING_LEVEL])),
    decider: faultDecider,
    publish,
    snapshotFeed,
    inputs,
    onTimer: commandOfTimer,
    async perform(effect, { signal }) {
      try {
        await call(scheduler, effect, signal)
      } catch (error) {
        if (!(error instanceof RpcError && FINAL_REASONS.has(error.reason))) throw error
      }
      return { type: 'SettleEffect', key: effect.key }
    },
  }
}
