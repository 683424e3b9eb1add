import type { Limits } from '@serverless-ai/autoscaler'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import { type Request, type Requests, toRequests } from '@serverless-ai/sim/serving'
import {
  type AnyPolicy,
  type RigInit,
  type RigResult,
  runPolicy,
} from '../../load/baselines/rig.ts'

export const MINUTE_MS = 60_000

/** A public failure of another autoscaler, as a world and what must hold in it. */
export interface Scenario {
  readonly name: string
  readonly kind: 'runaway' | 'flapping' | 'deaf' | 'stuck high' | 'unsafe' | 'from zero'
  /** Where it was reported. */
  readonly source: string
  readonly about: string
  /** Start-up time that policies are told. */
  readonly startupMs: number
  readonly world: () => World
  /** Why it failed; undefined: it did not. */
  readonly judge: (result: RigResult) => string | undefined
}

/** What is around a policy. */
export type World = Partial<Omit<RigInit, 'policy' | 'limits' | 'requests'>> & {
  readonly requests: Requests
  readonly minutes: number
  readonly limits?: Partial<Limits> | ((nowMs: number) => Limits)
}

/** A stretch of Poisson arrivals. */
export interface Stretch {
  readonly fromMin: number
  readonly toMin: number
  readonly perS: number
  readonly inputTokens?: number
  readonly outputTokens?: number
}

/** Poisson arrivals; one replica bears five to seven a second of the usual size (500 and 50). */
export function arrivals(...stretches: readonly Stretch[]): Requests {
  const dice = seededRandomness(17)
  const rows: Request[] = []
  for (const { fromMin, toMin, perS, inputTokens = 500, outputTokens = 50 } of stretches) {
    let at = fromMin * MINUTE_MS
    for (;;) {
      at += (-Math.log(1 - dice.float()) * 1_000) / perS
      if (at >= toMin * MINUTE_MS) break
      rows.push({ arrivalMs: at, inputTokens, outputTokens })
    }
  }
  return toRequests(rows)
}

/** Requests at these times. */
export const requestsAt = (times: readonly number[], outputTokens = 50): Requests =>
  toRequests(times.map((arrivalMs) => ({ arrivalMs, inputTokens: 500, outputTokens })))

export const LIMITS: Limits = { floor: 1, ceiling: 200, budget: 200, quota: 200 }

/** Runs a scenario with a policy. */
export function runScenario(scenario: Scenario, policy: AnyPolicy): RigResult {
  const { minutes, limits, ...world } = scenario.world()
  const limitsAt = typeof limits === 'function' ? limits : () => ({ ...LIMITS, ...limits })
  return runPolicy({
    startupMs: () => scenario.startupMs,
    initial: 1,
    fromMs: 0,
    untilMs: minutes * MINUTE_MS,
    ...world,
    limits: limitsAt,
    policy,
  })
}

/** Moments of a part of a run. */
export const between = ({ moments }: RigResult, fromMin: number, toMin: number) =>
  moments.filter(({ nowMs }) => nowMs >= fromMin * MINUTE_MS && nowMs < toMin * MINUTE_MS)

export const most = (result: RigResult, fromMin = 0, toMin = 1e6): number =>
  Math.max(...between(result, fromMin, toMin).map(({ decision }) => decision.wanted))

export const least = (result: RigResult, fromMin = 0, toMin = 1e6): number =>
  Math.min(...between(result, fromMin, toMin).map(({ decision }) => decision.wanted))

export const last = (result: RigResult): number => result.moments.at(-1)!.decision.wanted

/** Times at which the policy changed the target. */
export const changes = (result: RigResult, fromMin = 0, toMin = 1e6): readonly number[] =>
  between(result, fromMin, toMin)
    .filter(({ target, decision }) => decision.wanted !== target)
    .map(({ nowMs }) => nowMs)

/** The first of the checks that does not hold. */
export function firstFailure(
  ...checks: readonly (readonly [holds: boolean, what: string])[]
): string | undefined {
  return checks.find(([holds]) => !holds)?.[1]
}

/** Requests that arrived in a part of a run and had their first token later than `withinMs`. */
export function late(result: RigResult, fromMin: number, toMin: number, withinMs: number): number {
  const { firstMs, requests } = result.ledger
  let count = 0
  requests.arrivalMs.forEach((at, request) => {
    if (at < fromMin * MINUTE_MS || at >= toMin * MINUTE_MS) return
    if (!(firstMs[request]! - at <= withinMs)) count += 1
  })
  return count
}
