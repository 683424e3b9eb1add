import type { Metrics } from '@serverless-ai/hosting/process'
import type { MediatorRuntime } from './definition.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000

/** Jobs by state, from the leader's state at each scrape. */
export function watchMediator(metrics: Metrics, runtime: MediatorRuntime): void {
  const { service } = runtime
  metrics.onScrape(async () => {
    if (runtime.status().role !== 'Leading') return
    const { value } = await runtime.read(
      ({ jobs }) => {
        const counts = new Map<string, number>()
        for (const { state } of jobs.values()) counts.set(state, (counts.get(state) ?? 0) + 1)
        return counts
      },
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.zero('sai_mediator_jobs', { service })
    for (const [state, count] of value) metrics.set('sai_mediator_jobs', { service, state }, count)
  })
}
