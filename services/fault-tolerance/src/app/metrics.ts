import type { Metrics } from '@serverless-ai/hosting/process'
import type { FaultEvent } from '../core/messages.ts'
import type { FaultState } from '../core/model.ts'
import type { FaultRuntime } from './definition.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000

/** What an event adds to the counters; `state` is the state after its commit. */
function countEvent(metrics: Metrics, event: FaultEvent, state: FaultState): void {
  const service = 'fault-tolerance'
  if (event.type === 'IncidentOpened') {
    metrics.add('sai_fault_tolerance_incidents_total', { service })
    return
  }
  if (event.type !== 'IncidentMoved' || event.progress.at !== 'Decided') return
  const { decision, verdict, recoveredMs } = event.progress
  if (recoveredMs === 0) {
    const { blame } = verdict
    metrics.add('sai_fault_tolerance_decisions_total', { service, decision, blame })
    return
  }
  metrics.add('sai_fault_tolerance_recoveries_total', { service })
  const detectedMs = state.incidents.get(event.incidentId)?.detectedMs
  if (detectedMs === undefined) return
  const seconds = Math.max(0, recoveredMs - detectedMs) / 1_000
  metrics.observe('sai_fault_tolerance_recovery_seconds', { service }, seconds)
}

/** Incidents and recoveries as the leader records them, open incidents at each scrape. */
export function watchFaultTolerance(metrics: Metrics, runtime: FaultRuntime): void {
  const { service } = runtime
  let leading = false
  runtime.onLeadership((now) => {
    leading = now
  })
  for (const name of [
    'sai_fault_tolerance_incidents_total',
    'sai_fault_tolerance_decisions_total',
    'sai_fault_tolerance_recoveries_total',
    'sai_fault_tolerance_recovery_seconds',
  ] as const) {
    metrics.zero(name, { service })
  }
  runtime.onEffective(({ events, state, replaying }) => {
    if (!leading || replaying) return
    for (const event of events) countEvent(metrics, event, state)
  })
  metrics.onScrape(async () => {
    if (!leading) return
    const { value } = await runtime.read(
      ({ incidents }) => {
        let open = 0
        for (const { progress } of incidents.values()) if (progress.at === 'Gathering') open += 1
        return open
      },
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.set('sai_fault_tolerance_open_incidents', { service }, value)
  })
}
