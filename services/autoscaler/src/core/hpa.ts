import { type Observation, usable, whyUnusable } from './observation.ts'
import { type Decision, inputsOf, type Note, type ScalingPolicy } from './policy.ts'

/** What the average is taken of. */
export type HpaMetric = 'queued' | 'outstanding'

/** Settings of {@link hpaPolicy}; the defaults are those of Kubernetes (autoscaling/v2). */
export interface HpaConfig {
  /** `queued`: held at the gate. `outstanding`: held and inside replicas. */
  readonly metric: HpaMetric
  /** `AverageValue`: requests for each replica. */
  readonly targetRequests: number
  readonly syncMs?: number
  readonly tolerancePct?: number
  readonly downStabilizationMs?: number
  readonly maxAgeMs?: number
}

const DEFAULTS = {
  syncMs: 15_000,
  tolerancePct: 10,
  downStabilizationMs: 300_000,
  maxAgeMs: 60_000,
}
/** Default `scaleUp` policies: by 100 % or by 4 pods within 15 s, whichever is more. */
const UP_FACTOR = 2
const UP_PODS = 4

/** State of the policy. */
export interface HpaState {
  /** When it looks again. */
  readonly nextMs: number
  /** Recommendations of the stabilisation window, oldest first. */
  readonly recommended: readonly { readonly atMs: number; readonly wanted: number }[]
}

/**
 * Kubernetes' HorizontalPodAutoscaler on one external metric: ratio to a target with a tolerance,
 * every 15 s; growth limited to doubling or four, shrinking to the highest recommendation of the
 * last 300 s. Like it, it never goes to or from zero by itself.
 */
export function hpaPolicy(config: HpaConfig): ScalingPolicy<HpaState> {
  const set = { ...DEFAULTS, ...config }

  function recommend(value: number, target: number): number {
    const current = Math.max(1, target)
    const off = Math.abs(value / (set.targetRequests * current) - 1) * 100
    return off <= set.tolerancePct ? current : Math.ceil(value / set.targetRequests)
  }

  function metricOf(input: Observation): number | undefined {
    const held = usable(input.held, set.maxAgeMs)
    if (set.metric === 'queued') return held?.requests
    const inFlight = usable(input.inFlight, set.maxAgeMs)
    return held === undefined || inFlight === undefined ? undefined : held.requests + inFlight
  }

  return {
    name: set.metric === 'queued' ? 'hpa-queue' : 'hpa',
    initial: () => ({ nextMs: 0, recommended: [] }),
    step(input, state) {
      const { nowMs, target, limits } = input
      const reasons = {
        held: whyUnusable(input.held, set.maxAgeMs),
        inFlight: set.metric === 'queued' ? 'NOT_READ' : whyUnusable(input.inFlight, set.maxAgeMs),
        arrivals: 'NOT_READ',
        outcomes: 'NOT_READ',
        expected: 'NOT_READ',
        replicas: 'NOT_READ',
      }
      const base = { notes: [], rejected: [], inputs: inputsOf(input, reasons) }
      const stay = (code: string): Decision => {
        const hold: Note = { code, numbers: { wanted: target } }
        return { ...base, wanted: target, hold, model: {} }
      }
      if (nowMs < state.nextMs) return { state, decision: stay('BETWEEN_SYNCS') }
      const nextMs = nowMs + set.syncMs
      const value = metricOf(input)
      if (value === undefined) {
        return { state: { ...state, nextMs }, decision: stay('METRICS_UNKNOWN') }
      }
      const atZero = target === 0
      const raw = atZero ? 0 : recommend(value, target)
      const kept = state.recommended.filter(({ atMs }) => atMs > nowMs - set.downStabilizationMs)
      const recommended = [...kept, { atMs: nowMs, wanted: raw }]
      const highest = Math.max(...recommended.map(({ wanted }) => wanted))
      const stable = raw < target ? Math.min(target, highest) : raw
      const grown = Math.min(stable, Math.max(UP_FACTOR * target, target + UP_PODS))
      const least = atZero ? 0 : Math.max(1, limits.floor)
      const wanted = Math.min(Math.max(grown, least), limits.ceiling)
      const decision: Decision = { ...base, wanted, model: { value: Math.round(value), raw } }
      return { state: { nextMs, recommended }, decision }
    },
  }
}
