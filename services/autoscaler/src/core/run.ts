/** The policy that a service chose, under way. */

import { unreachable } from '@serverless-ai/kernel'
import { safeLoadMilli } from './capacity.ts'
import { hpaPolicy } from './hpa.ts'
import { kpaPolicy } from './kpa.ts'
import { STARTUP_MS, TARGET_MILLI } from './limits.ts'
import type { CapacityView, Clause, PolicyRun, ServiceFacts } from './model.ts'
import type { Observation } from './observation.ts'
import type { Decision, ScalingPolicy } from './policy.ts'
import { emptyCurve } from './predictive/curve.ts'
import { predictivePolicy } from './predictive/policy.ts'

/** Knative's `scale-to-zero-grace-period`. */
const KPA_GRACE_MS = 30_000
/** Share of the `concurrency` that is aimed at where nothing else is said. */
const CONCURRENCY_SHARE = 0.7

/** Rules are tried on so many steps of the past: what that takes holds everything else up. */
const HISTORY_STEPS = 900
const HISTORY_MIN_MS = 600_000

/** What of a service its policy depends on. */
export interface PolicyOf {
  readonly service: ServiceFacts
  readonly clauses: readonly Clause[]
  readonly capacity: CapacityView
  readonly stepMs: number
  /** No request takes longer, ms; absent = as by default. */
  readonly longestMs?: number | undefined
}

function predictiveOf({ service, clauses, capacity, stepMs, longestMs }: PolicyOf) {
  const { idleMs } = service.settings
  return predictivePolicy({
    // In thousandths of a request: what a request takes is in the capacity.
    work: { perRequest: 1_000, perInputToken: 0, perOutputToken: 0 },
    safeWorkPerS: safeLoadMilli(capacity, service.settings),
    allowedMissPpm: clauses.map(({ missPpm }) => missPpm),
    startupMs: STARTUP_MS,
    stepMs,
    ...(longestMs === undefined ? {} : { longestMs }),
    historyMs: Math.max(HISTORY_MIN_MS, HISTORY_STEPS * stepMs),
    // A step is seldom as long as the other: half of one is nobody's idleness.
    idleMs: Math.max(1, idleMs - stepMs / 2),
  })
}

function requestsOf({ service }: PolicyOf): number {
  const { settings, concurrency } = service
  if (settings.targetMilli > 0) return settings.targetMilli / 1_000
  return concurrency > 0 ? Math.max(1, concurrency * CONCURRENCY_SHARE) : TARGET_MILLI / 1_000
}

const kpaOf = (of: PolicyOf) =>
  kpaPolicy({
    targetConcurrency: requestsOf(of),
    targetPct: 100,
    scaleToZeroGraceMs: Math.min(KPA_GRACE_MS, of.service.settings.idleMs),
  })

const hpaOf = (of: PolicyOf) => hpaPolicy({ metric: 'outstanding', targetRequests: requestsOf(of) })

/** A policy that has seen nothing. */
export function beginRun(of: PolicyOf): PolicyRun {
  const { policy } = of.service.settings
  switch (policy) {
    case 'predictive':
      return { policy, state: predictiveOf(of).initial() }
    case 'kpa':
      return { policy, state: kpaOf(of).initial() }
    case 'hpa':
      return { policy, state: hpaOf(of).initial() }
    default:
      return unreachable(policy)
  }
}

/** Whether a policy under way is the one that is wanted now. */
export function goesOn(run: PolicyRun, { service, clauses }: PolicyOf): boolean {
  if (run.policy !== service.settings.policy) return false
  return run.policy !== 'predictive' || run.state.marginPct.length === clauses.length
}

const stepOf = <S>(policy: ScalingPolicy<S>, input: Observation, state: S) =>
  policy.step(input, state)

/** The next step of a policy. */
export function stepRun(
  run: PolicyRun,
  input: Observation,
  of: PolicyOf,
): { readonly run: PolicyRun; readonly decision: Decision } {
  switch (run.policy) {
    case 'predictive': {
      const { state, decision } = stepOf(predictiveOf(of), input, run.state)
      return { run: { policy: run.policy, state }, decision }
    }
    case 'kpa': {
      const { state, decision } = stepOf(kpaOf(of), input, run.state)
      return { run: { policy: run.policy, state }, decision }
    }
    case 'hpa': {
      const { state, decision } = stepOf(hpaOf(of), input, run.state)
      return { run: { policy: run.policy, state }, decision }
    }
    default:
      return unreachable(run)
  }
}

/** A replica bears another load than it was thought to: what was learned by loads is void. */
export function withNewCapacity(run: PolicyRun): PolicyRun {
  if (run.policy !== 'predictive') return run
  const { state } = run
  return {
    policy: run.policy,
    state: { ...state, curve: emptyCurve(state.marginPct.length), choice: null, tunedMs: 0 },
  }
}
