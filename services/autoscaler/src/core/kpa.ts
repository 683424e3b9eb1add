import { type Observation, usable, whyUnusable } from './observation.ts'
import { type Decision, inputsOf, type Note, type ScalingPolicy } from './policy.ts'

/** Settings of {@link kpaPolicy}; the defaults are Knative's (config-autoscaler). */
export interface KpaConfig {
  /** Requests at once for each replica. */
  readonly targetConcurrency: number
  /** `container-concurrency-target-percentage`. */
  readonly targetPct?: number
  readonly stableWindowMs?: number
  readonly panicWindowPct?: number
  readonly panicThresholdPct?: number
  readonly maxScaleUp?: number
  readonly maxScaleDown?: number
  readonly scaleToZeroGraceMs?: number
  readonly maxAgeMs?: number
}

const DEFAULTS = {
  targetPct: 70,
  stableWindowMs: 60_000,
  panicWindowPct: 10,
  panicThresholdPct: 200,
  maxScaleUp: 1_000,
  maxScaleDown: 2,
  scaleToZeroGraceMs: 30_000,
  maxAgeMs: 60_000,
}

/** State of the policy. */
export interface KpaState {
  /** Concurrency by time, oldest first, for the stable window. */
  readonly samples: readonly { readonly atMs: number; readonly requests: number }[]
  /** Null: calm. */
  readonly panicSinceMs: number | null
  readonly panicReplicas: number
  /** Since when nothing is wanted. */
  readonly idleSinceMs: number | null
}

function average(samples: KpaState['samples'], fromMs: number): number {
  let sum = 0
  let count = 0
  for (const { atMs, requests } of samples) {
    if (atMs <= fromMs) continue
    sum += requests
    count += 1
  }
  return count === 0 ? 0 : sum / count
}

/**
 * Knative's pod autoscaler (`pkg/autoscaler/scaling/autoscaler.go`), on concurrency: an average
 * over a stable window, over a short one while panicking; ready replicas are all it counts. Its
 * own minimum and maximum are the floor and the ceiling; of a budget it knows nothing.
 */
export function kpaPolicy(config: KpaConfig): ScalingPolicy<KpaState> {
  const set = { ...DEFAULTS, ...config }
  const target = (set.targetConcurrency * set.targetPct) / 100
  const panicWindowMs = (set.stableWindowMs * set.panicWindowPct) / 100

  function decide(input: Observation, state: KpaState, samples: KpaState['samples']) {
    const { nowMs, limits } = input
    const ready = Math.max(1, input.replicas?.value.ready ?? 0)
    const stable = average(samples, nowMs - set.stableWindowMs)
    const panic = average(samples, nowMs - panicWindowMs)
    const clamp = (value: number) => {
      const least = Math.floor(ready / set.maxScaleDown)
      return Math.min(Math.max(Math.ceil(value / target), least), set.maxScaleUp * ready)
    }
    const over = Math.ceil(panic / target) * 100 >= set.panicThresholdPct * ready
    let panicSinceMs = over ? nowMs : state.panicSinceMs
    const ended = panicSinceMs !== null && panicSinceMs + set.stableWindowMs < nowMs
    if (ended) panicSinceMs = null
    let wanted = clamp(stable)
    let panicReplicas = 0
    if (panicSinceMs !== null) {
      wanted = Math.max(wanted, clamp(panic), state.panicReplicas)
      panicReplicas = wanted
    }
    const idle = stable === 0 && panic === 0
    const idleSinceMs = idle ? (state.idleSinceMs ?? nowMs) : null
    if (idle && ready <= 1) wanted = 0
    const graced = idleSinceMs !== null && nowMs - idleSinceMs >= set.scaleToZeroGraceMs
    if (wanted === 0 && input.target > 0 && !graced) wanted = 1
    wanted = Math.min(Math.max(wanted, limits.floor), limits.ceiling)
    const model = { stable: Math.round(stable), panic: Math.round(panic), ready }
    return { wanted, model, state: { samples, panicSinceMs, panicReplicas, idleSinceMs } }
  }

  return {
    name: 'kpa',
    initial: () => ({
      samples: [],
      panicSinceMs: null,
      panicReplicas: 0,
      idleSinceMs: null,
    }),
    step(input, state) {
      const { nowMs } = input
      const inFlight = usable(input.inFlight, set.maxAgeMs)
      const held = usable(input.held, set.maxAgeMs)
      const reasons = {
        inFlight: whyUnusable(input.inFlight, set.maxAgeMs),
        held: whyUnusable(input.held, set.maxAgeMs),
        arrivals: 'NOT_READ',
        outcomes: 'NOT_READ',
        expected: 'NOT_READ',
      }
      const inputs = inputsOf(input, reasons)
      if (inFlight === undefined && held === undefined) {
        const hold: Note = { code: 'METRICS_UNKNOWN', numbers: { wanted: input.target } }
        const base = { wanted: input.target, hold, notes: [], rejected: [], inputs, model: {} }
        return { state, decision: base }
      }
      const requests = (inFlight ?? 0) + (held?.requests ?? 0)
      const kept = state.samples.filter(({ atMs }) => atMs > nowMs - set.stableWindowMs)
      const result = decide(input, state, [...kept, { atMs: nowMs, requests }])
      const { wanted, model } = result
      const decision: Decision = { wanted, notes: [], rejected: [], inputs, model }
      return { state: result.state, decision }
    },
  }
}
