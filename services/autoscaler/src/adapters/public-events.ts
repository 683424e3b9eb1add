import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  ScaleDecided,
  TargetEnded,
  TargetTracked,
} from '@serverless-ai/contracts/events/v1/autoscaler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { AutoscalerEvent } from '../core/messages.ts'
import type { AutoscalerState, ScaleDecision, Target } from '../core/model.ts'
import { decisionToProto, targetToProto } from './to-proto.ts'

type Named = Pick<Target, 'jobId' | 'tenant'>

const draft = (name: string, { jobId, tenant }: Named, payload: Uint8Array): PublicDraft => ({
  type: `${EVENTS}${name}`,
  key: jobId,
  tenant,
  payload,
})

function tracked(target: Target, atMs: number): PublicDraft {
  const told = { ...targetToProto(target, atMs), decision: undefined }
  const message = { target: told, atMs: BigInt(Math.floor(atMs)) }
  return draft('TargetTracked', target, encodeMessage(TargetTracked, message))
}

function decided(target: Target, decision: ScaleDecision): PublicDraft {
  const message = { tenant: target.tenant, decision: decisionToProto(target.jobId, decision) }
  return draft('ScaleDecided', target, encodeMessage(ScaleDecided, message))
}

/** Public events of a domain event; `state` is the state after it. */
export function publish(
  event: AutoscalerEvent,
  state: AutoscalerState,
  atMs: number,
): readonly PublicDraft[] {
  switch (event.type) {
    case 'JobNoted': {
      const target = state.targets.get(event.job.jobId)
      return event.first && target !== undefined ? [tracked(target, atMs)] : []
    }
    case 'ServiceNoted':
    case 'ModeSet': {
      const target = state.targets.get(event.jobId)
      return target === undefined ? [] : [tracked(target, atMs)]
    }
    case 'ScaleDecided': {
      const target = state.targets.get(event.jobId)
      return target === undefined ? [] : [decided(target, event.decision)]
    }
    case 'TargetEnded': {
      const message = { jobId: event.jobId, tenant: event.tenant, atMs: BigInt(Math.floor(atMs)) }
      return [draft('TargetEnded', event, encodeMessage(TargetEnded, message))]
    }
    default:
      return []
  }
}

/** What an empty consumer must see: targets, and the newest decision of each. */
export function* snapshotFeed(state: AutoscalerState): Iterable<PublicDraft> {
  for (const target of state.targets.values()) {
    yield tracked(target, target.steppedMs)
    const newest = target.decisions.at(-1)
    if (newest !== undefined) yield decided(target, newest)
  }
}
