import type { Metrics } from '@serverless-ai/hosting/process'
import type { AutoscalerEvent } from '../core/messages.ts'
import { isResting } from '../core/step.ts'
import type { AutoscalerRuntime } from './definition.ts'
import type { Stepper } from './stepper.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000
const service = 'autoscaler'

/** What an event adds to the counters. */
function countEvent(metrics: Metrics, event: AutoscalerEvent): void {
  switch (event.type) {
    case 'Stepped':
      metrics.add('sai_autoscaler_steps_total', { service })
      return
    case 'ScaleDecided': {
      const outcome = event.decision.outcome.toLowerCase()
      const { policy } = event.decision
      metrics.add('sai_autoscaler_decisions_total', { service, outcome, policy })
      return
    }
    case 'ResizeSettled': {
      const result = event.outcome.at === 'Taken' ? 'taken' : 'refused'
      metrics.add('sai_autoscaler_resizes_total', { service, result })
      return
    }
    default:
  }
}

/** Decisions as the leader records them; targets at each scrape. */
export function watchAutoscaler(
  metrics: Metrics,
  runtime: AutoscalerRuntime,
  stepper: Stepper,
): void {
  let leading = false
  runtime.onLeadership((now) => {
    leading = now
  })
  metrics.zero('sai_autoscaler_steps_total', { service })
  for (const outcome of ['applied', 'advised', 'held']) {
    const policy = 'predictive'
    metrics.zero('sai_autoscaler_decisions_total', { service, outcome, policy })
  }
  for (const result of ['taken', 'refused']) {
    metrics.zero('sai_autoscaler_resizes_total', { service, result })
  }
  runtime.onEffective(({ events, replaying }) => {
    if (!leading || replaying) return
    for (const event of events) countEvent(metrics, event)
  })
  metrics.onScrape(async () => {
    metrics.set('sai_autoscaler_lost_steps', { service }, stepper.lostSteps)
    if (!leading) return
    const { value } = await runtime.read(
      (state) => {
        const targets = [...state.targets.values()]
        const sum = (pick: 'wanted' | 'granted') =>
          targets.reduce((all, { scale }) => all + (scale?.[pick] ?? 0), 0)
        const awake = targets.filter((target) => !isResting(target)).length
        return { targets: targets.length, awake, wanted: sum('wanted'), granted: sum('granted') }
      },
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.set('sai_autoscaler_targets', { service }, value.targets)
    metrics.set('sai_autoscaler_awake_targets', { service }, value.awake)
    metrics.set('sai_autoscaler_wanted', { service }, value.wanted)
    metrics.set('sai_autoscaler_granted', { service }, value.granted)
  })
}
