import type {
  Decision,
  Limits,
  Observation,
  Outcomes,
  Reading,
  ScalingPolicy,
} from '@serverless-ai/autoscaler'
import {
  type Attainment,
  type Clause,
  judge,
  Latency,
  LLAMA2_70B_A100,
  LLAMA2_70B_H100,
  type ServeInit,
  type ServeResult,
  type ServingView,
  SPLITWISE_OBJECTIVE,
  serve,
  slowdownOf,
} from '@serverless-ai/sim/serving'

/** What serves, and what slowdowns are told against. */
export const LATENCY = new Latency(LLAMA2_70B_H100)
export const REFERENCE = new Latency(LLAMA2_70B_A100)

/** One step of a policy. */
export const STEP_MS = 2_000

/** A policy whatever its state. */
export interface AnyPolicy {
  readonly name: string
  /** A run of its own, from the initial state. */
  begin(): (input: Observation) => Decision
}

/** A policy without the type of its state. */
export function runnable<State>(policy: ScalingPolicy<State>): AnyPolicy {
  return {
    name: policy.name,
    begin() {
      let state = policy.initial()
      return (input) => {
        const next = policy.step(input, state)
        state = next.state
        return next.decision
      }
    },
  }
}

/** What {@link runPolicy} takes beside what serves. */
export interface RigInit extends Omit<ServeInit, 'latency' | 'controller' | 'tickMs'> {
  readonly policy: AnyPolicy
  readonly limits: (nowMs: number) => Limits
  readonly objective?: readonly Clause[]
  /** What is measured, as the policy gets to see it. */
  readonly distort?: (input: Observation) => Observation
  /** Another writer of the target. */
  readonly edit?: (nowMs: number, target: number) => number
}

/** What happened at a step. */
export interface Moment {
  readonly nowMs: number
  /** Target before the step, and what was wanted at it. */
  readonly target: number
  readonly decision: Decision
  readonly ready: number
  readonly held: number
  readonly inFlight: number
}

/** What came of it. */
export interface RigResult extends ServeResult {
  readonly moments: readonly Moment[]
  readonly attainment: Attainment
}

const fresh = <T>(value: T): Reading<T> => ({ value, ageMs: 0 })

/** How the requests that ended since the last step did. */
function outcomesOf(view: ServingView, objective: readonly Clause[]): Outcomes {
  const missed = objective.map(() => 0)
  let outputTokens = 0
  for (const request of view.ended) {
    const slowdown = slowdownOf(view.ledger, request, REFERENCE)
    outputTokens += view.ledger.requests.outputTokens[request]!
    objective.forEach(({ indicator, limit }, clause) => {
      if (slowdown[indicator] > limit) missed[clause]! += 1
    })
  }
  return { finished: view.ended.length, outputTokens, missed }
}

function observe(
  view: ServingView,
  target: number,
  limits: Limits,
  objective: readonly Clause[],
): Observation {
  const { held, ready, draining, startingMs, startupsMs } = view
  return {
    nowMs: view.nowMs,
    target,
    arrivals: fresh(view.arrived),
    held: fresh({ requests: held.requests, inputTokens: held.tokens }),
    inFlight: fresh(view.inFlight),
    outcomes: fresh(outcomesOf(view, objective)),
    expected: undefined,
    replicas: fresh({ ready, draining, startingMs, startupsMs }),
    limits,
  }
}

/** Lets a policy resize a simulated fleet, step by step. */
export function runPolicy(init: RigInit): RigResult {
  const { policy, limits, distort, edit, objective = SPLITWISE_OBJECTIVE, ...world } = init
  const step = policy.begin()
  const moments: Moment[] = []
  let target = init.initial
  const controller = {
    wanted(view: ServingView): number {
      const { nowMs, ready, held, inFlight } = view
      target = edit === undefined ? target : edit(nowMs, target)
      const seen = observe(view, target, limits(nowMs), objective)
      const decision = step(distort === undefined ? seen : distort(seen))
      moments.push({ nowMs, target, decision, ready, held: held.requests, inFlight })
      target = decision.wanted
      return target
    },
  }
  const result = serve({ ...world, latency: LATENCY, controller, tickMs: STEP_MS })
  const { fromMs, untilMs } = init
  const options = { reference: REFERENCE, objective, fromMs, untilMs }
  return { ...result, moments, attainment: judge(result.ledger, options) }
}
