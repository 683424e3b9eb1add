import type { Metrics } from '@serverless-ai/hosting/process'
import type { SchedulerState } from '../core/state.ts'
import type { SchedulerRuntime } from './definition.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000

/** Jobs that wait, by primary reason: by class, never job by job. */
function queuedByReason({ queues }: SchedulerState): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const add = (code: string, jobs: number) => counts.set(code, (counts.get(code) ?? 0) + jobs)
  for (const { classes, recovering } of queues.values()) {
    for (const { reason, size } of classes.values()) add(reason.code, size)
    for (const { phase } of recovering) if (phase.at === 'Recovering') add(phase.reason.code, 1)
  }
  return counts
}

function placedGangs({ queues }: SchedulerState): number {
  let placed = 0
  for (const queue of queues.values()) placed += queue.placed
  return placed
}

/** Waiting and placed jobs from the leader's state at each scrape, placements as they happen. */
export function watchScheduler(metrics: Metrics, runtime: SchedulerRuntime): void {
  const { service } = runtime
  let leading = false
  runtime.onLeadership((now) => {
    leading = now
  })
  metrics.zero('sai_scheduler_placements_total', { service })
  runtime.onEffective(({ events, replaying }) => {
    if (!leading || replaying) return
    const placed = events.reduce((sum, { type }) => sum + (type === 'GangPlaced' ? 1 : 0), 0)
    if (placed > 0) metrics.add('sai_scheduler_placements_total', { service }, placed)
  })
  metrics.onScrape(async () => {
    if (!leading) return
    const { value } = await runtime.read(
      (state) => ({ queued: queuedByReason(state), placed: placedGangs(state) }),
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.zero('sai_scheduler_queued_jobs', { service })
    for (const [reason, jobs] of value.queued) {
      metrics.set('sai_scheduler_queued_jobs', { service, reason }, jobs)
    }
    metrics.set('sai_scheduler_placed_gangs', { service }, value.placed)
  })
}
