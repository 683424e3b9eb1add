import {
  Mode as ModeProto,
  type ScalingSettings,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import { type Scale, Scale_Unit } from '@serverless-ai/contracts/schedule/v1/schedule'
import { rpcError } from '@serverless-ai/rpc'
import type { Mode, PolicyName, ScaleView, Settings } from '../core/model.ts'

/** Default time without a request before a service goes to zero, ms. */
export const IDLE_MS = 60_000

const POLICIES: Readonly<Record<string, PolicyName>> = {
  predictive: 'predictive',
  kpa: 'kpa',
  hpa: 'hpa',
}

/** Settings with their defaults; a policy that this version does not know is the default one. */
export function settingsFromProto(settings: ScalingSettings | undefined): Settings {
  const { policy = '', idleMs = 0n, targetMilli = 0, capacityMilli = 0n } = settings ?? {}
  return {
    policy: Object.hasOwn(POLICIES, policy) ? POLICIES[policy]! : 'predictive',
    idleMs: idleMs === 0n ? IDLE_MS : Number(idleMs),
    targetMilli,
    capacityMilli: Number(capacityMilli),
  }
}

/** A scale as the scheduler tells it. */
export function scaleFromProto(scale: Scale): ScaleView {
  const { min, max, wanted, granted, ready, draining, owner, decisionId } = scale
  return {
    unit: scale.unit === Scale_Unit.TASKS ? 'tasks' : 'replicas',
    min,
    max,
    wanted,
    granted,
    ready,
    draining,
    version: Number(scale.version),
    owner,
    decisionId,
    changedMs: Number(scale.changedMs),
    notBeforeMs: Number(scale.notBeforeMs),
  }
}

/** @throws RpcError `INVALID_MODE` */
export function modeFromProto(mode: ModeProto): Mode {
  switch (mode) {
    case ModeProto.AUTOMATIC:
      return 'automatic'
    case ModeProto.ADVISE:
      return 'advise'
    case ModeProto.OFF:
      return 'off'
    default:
      throw rpcError('INVALID_MODE', { metadata: { field: 'mode' } })
  }
}
