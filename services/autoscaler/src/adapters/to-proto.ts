import {
  type ScaleDecision as DecisionProto,
  type DeviceBudget,
  Mode as ModeProto,
  type NamedNumber,
  type Note as NoteProto,
  type ScalingSettings,
  type Target as TargetProto,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import { type Scale, Scale_Unit } from '@serverless-ai/contracts/schedule/v1/schedule'
import { whyBlocked } from '../core/control.ts'
import { devicesNow } from '../core/fleet.ts'
import { devicesEach } from '../core/limits-of.ts'
import type {
  AutoscalerState,
  Mode,
  ScaleDecision,
  ScaleView,
  Settings,
  Target,
} from '../core/model.ts'
import type { Note } from '../core/policy.ts'
import { isResting } from '../core/step.ts'

/** Whole milliseconds and counts; what no integer can hold is cut. */
const whole = (value: number): bigint =>
  BigInt(Math.round(Math.min(Math.max(value, -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)))

const numbersToProto = (numbers: Readonly<Record<string, number>>): NamedNumber[] =>
  Object.entries(numbers).map(([name, value]) => ({ name, value: whole(value) }))

const noteToProto = ({ code, numbers }: Note): NoteProto => ({
  code,
  numbers: numbersToProto(numbers),
})

/** A decision of a target. */
export function decisionToProto(jobId: string, decision: ScaleDecision): DecisionProto {
  const { decisionId, from, wanted, policyWanted, granted, outcome, policy } = decision
  return {
    decisionId,
    atMs: whole(decision.atMs),
    jobId,
    from,
    wanted,
    policyWanted,
    granted,
    outcome,
    scaleVersion: whole(decision.scaleVersion),
    policy,
    policyVersion: decision.policyVersion,
    hold: decision.hold && noteToProto(decision.hold),
    notes: decision.notes.map(noteToProto),
    rejected: decision.rejected.map(({ wanted: other, ...why }) => ({
      wanted: other,
      why: noteToProto(why),
    })),
    inputs: decision.inputs.map(({ name, ageMs, unused = '', numbers }) => ({
      name,
      ageMs: ageMs === undefined ? undefined : whole(ageMs),
      unused,
      numbers: numbersToProto(numbers),
    })),
    model: numbersToProto(decision.model),
  }
}

/** Without what a list has no room for. */
export const briefly = (decision: DecisionProto): DecisionProto => ({
  ...decision,
  rejected: [],
  inputs: [],
  model: [],
})

const MODES: Readonly<Record<Mode, ModeProto>> = {
  automatic: ModeProto.AUTOMATIC,
  advise: ModeProto.ADVISE,
  off: ModeProto.OFF,
}

const scaleToProto = (scale: ScaleView): Scale => ({
  ...scale,
  unit: scale.unit === 'tasks' ? Scale_Unit.TASKS : Scale_Unit.REPLICAS,
  version: whole(scale.version),
  changedMs: whole(scale.changedMs),
  notBeforeMs: whole(scale.notBeforeMs),
})

const settingsToProto = (settings: Settings): ScalingSettings => ({
  ...settings,
  idleMs: whole(settings.idleMs),
  capacityMilli: whole(settings.capacityMilli),
})

/** The start-up that is reckoned with: nine of ten were no longer. */
function startupMs({ run, service, restartMs }: Target): number {
  if (service === undefined) return restartMs
  const known = run?.policy === 'predictive' ? run.state.startupsMs : []
  const sorted = [...known].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.9) - 1] ?? 0
}

/** A target as it is at a log time. */
export function targetToProto(target: Target, atMs: number): TargetProto {
  const { jobId, tenant, name, queue, scale, mode, service, capacity } = target
  const newest = target.decisions.at(-1)
  return {
    jobId,
    tenant,
    name,
    queue,
    scale: scale && scaleToProto(scale),
    mode: MODES[mode],
    settings: service && settingsToProto(service.settings),
    devicesEach: devicesEach(target),
    decision: newest && decisionToProto(jobId, newest),
    resting: isResting(target),
    blocked: whyBlocked(target, atMs) ?? '',
    startupMs: whole(startupMs(target)),
    capacityMilli: whole(capacity.capacityMilli),
  }
}

/** The devices of the cell, as far as scaling goes. */
export function budgetToProto(state: AutoscalerState): DeviceBudget {
  const { total, byJob } = devicesNow(state)
  let byTargets = 0
  let byOthers = 0
  for (const [jobId, devices] of byJob) {
    if (state.targets.has(jobId)) byTargets += devices
    else byOthers += devices
  }
  return {
    devices: total ?? 0,
    heldByOthers: byOthers,
    heldByTargets: byTargets,
    unknown: total === undefined,
  }
}
