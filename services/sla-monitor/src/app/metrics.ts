import type { Metrics } from '@serverless-ai/hosting/process'
import type { SlaEvent } from '../core/messages.ts'
import { lostTotal } from '../core/sources.ts'
import type { SlaRuntime } from './definition.ts'
import type { TelemetryIntake } from './intake.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000
const service = 'sla-monitor'

function countOutcomes(metrics: Metrics, event: Extract<SlaEvent, { rows: unknown }>): void {
  const sums = { good: 0, bad: 0, excluded: 0, unknown: 0, late: 0 }
  for (const [, , , good, bad, excluded, unknown, late] of event.rows) {
    sums.good += good
    sums.bad += bad
    sums.excluded += excluded
    sums.unknown += unknown
    sums.late += late
  }
  for (const [outcome, count] of Object.entries(sums)) {
    if (count > 0) metrics.add('sai_sla_outcomes_total', { service, outcome }, count)
  }
}

/** What an event adds to the counters. */
function countEvent(metrics: Metrics, event: SlaEvent): void {
  switch (event.type) {
    case 'OutcomesCounted':
      countOutcomes(metrics, event)
      if (event.future > 0) {
        metrics.add('sai_sla_samples_refused_total', { service, why: 'future' }, event.future)
      }
      if (event.rejected > 0) {
        metrics.add('sai_sla_samples_refused_total', { service, why: 'impossible' }, event.rejected)
      }
      return
    case 'JobOutcomesCounted':
      countOutcomes(metrics, event)
      return
    case 'BreachOpened': {
      const { severity } = event.breach.rule
      metrics.add('sai_sla_breaches_total', { service, severity })
      return
    }
    case 'StatementClosed':
      metrics.add('sai_sla_statements_total', { service })
      return
    default:
  }
}

/** Outcomes and breaches as the leader records them; what lasts at each scrape. */
export function watchSlaMonitor(
  metrics: Metrics,
  runtime: SlaRuntime,
  intake: TelemetryIntake,
): void {
  let leading = false
  runtime.onLeadership((now) => {
    leading = now
  })
  for (const outcome of ['good', 'bad', 'excluded', 'unknown', 'late']) {
    metrics.zero('sai_sla_outcomes_total', { service, outcome })
  }
  for (const why of ['future', 'impossible']) {
    metrics.zero('sai_sla_samples_refused_total', { service, why })
  }
  for (const severity of ['page', 'ticket']) {
    metrics.zero('sai_sla_breaches_total', { service, severity })
  }
  metrics.zero('sai_sla_statements_total', { service })
  runtime.onEffective(({ events, replaying }) => {
    if (!leading || replaying) return
    for (const event of events) countEvent(metrics, event)
  })
  metrics.onScrape(async () => {
    metrics.set('sai_sla_batches_waiting', { service }, intake.waiting)
    if (!leading) return
    const { value } = await runtime.read(
      (state) => {
        const objectives = [...state.objectives.values()]
        const open = objectives.reduce((sum, { breaches }) => sum + breaches.size, 0)
        const unwell = [...state.sources.values()].filter(({ health }) => health !== 'OK').length
        return { objectives: objectives.length, open, unwell, lost: lostTotal(state) }
      },
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.set('sai_sla_objectives', { service }, value.objectives)
    metrics.set('sai_sla_open_breaches', { service }, value.open)
    metrics.set('sai_sla_sources_unwell', { service }, value.unwell)
    metrics.set('sai_sla_batches_lost', { service }, value.lost)
  })
}
