import {
  hpaPolicy,
  kpaPolicy,
  type PredictiveConfig,
  predictivePolicy,
} from '@serverless-ai/autoscaler'
import { type Clause, SPLITWISE_OBJECTIVE } from '@serverless-ai/sim/serving'
import { type AnyPolicy, runnable, STEP_MS } from './rig.ts'

/**
 * Work of a request in microseconds of a replica: a prompt token as in a full iteration of 2,048
 * (137 ms), an output token as in a batch of 45 (41 ms). From the latency table, not from traces.
 */
const WORK = { perRequest: 0, perInputToken: 70, perOutputToken: 900 }
/** The safe default: a replica is loaded with less than a third of that. */
const SAFE_WORK_PER_S = 300_000

/** Ours, told no more than the latency table and the start-up time. */
export function ours(
  startupMs: number,
  over: Partial<PredictiveConfig> & { readonly objective?: readonly Clause[] } = {},
): AnyPolicy {
  const { objective = SPLITWISE_OBJECTIVE, ...settings } = over
  const allowedMissPpm = objective.map(({ quantile }) => Math.round((1 - quantile) * 1_000_000))
  const policy = predictivePolicy({
    work: WORK,
    safeWorkPerS: SAFE_WORK_PER_S,
    allowedMissPpm,
    startupMs,
    stepMs: STEP_MS,
    ...settings,
  })
  return runnable(policy)
}

/** Knative's, for so many requests at once per replica. */
export const kpa = (targetConcurrency: number): AnyPolicy =>
  runnable(kpaPolicy({ targetConcurrency }))

/** Kubernetes', on what is held or on all that is outstanding, for so many per replica. */
export const hpa = (metric: 'queued' | 'outstanding', targetRequests: number): AnyPolicy =>
  runnable(hpaPolicy({ metric, targetRequests }))

/** A plan made beforehand: replicas by time. */
export function planned(name: string, wantedAt: (nowMs: number) => number): AnyPolicy {
  const decide = (wanted: number) => ({ wanted, notes: [], rejected: [], inputs: [], model: {} })
  return { name, begin: () => (input) => decide(wantedAt(input.nowMs)) }
}

/** A fleet of a fixed size. */
export const fixed = (replicas: number): AnyPolicy => planned('static', () => replicas)
