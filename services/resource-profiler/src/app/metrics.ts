import type { Metrics } from '@serverless-ai/hosting/process'
import type { ProfilerEvent } from '../core/messages.ts'
import { iterationOf } from '../core/profile.ts'
import { REJECTIONS } from '../core/samples.ts'
import type { Collector } from './collector.ts'
import type { ProfilerRuntime } from './definition.ts'
import type { TelemetryIntake } from './intake.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000
const service = 'resource-profiler'
const CAUSES = ['KNOWN', 'CHANGED', 'UNKNOWN', 'ENDED'] as const

/** What an event adds to the counters. */
function countEvent(metrics: Metrics, event: ProfilerEvent): void {
  if (event.type === 'ProfileTold') {
    const cause = event.cause.toLowerCase()
    metrics.add('sai_profiler_profiles_told_total', { service, cause })
  }
  if (event.type === 'ForecastTold') metrics.add('sai_profiler_forecasts_told_total', { service })
}

/** Counts refused samples. */
export function countRejected(metrics: Metrics, code: string, samples: number): void {
  const why = code.toLowerCase()
  metrics.add('sai_profiler_samples_rejected_total', { service, why }, samples)
}

/** What was told as the leader records it; what lasts at each scrape. */
export function watchProfiler(
  metrics: Metrics,
  runtime: ProfilerRuntime,
  parts: { readonly intake: TelemetryIntake; readonly collector: Collector },
): void {
  let leading = false
  runtime.onLeadership((now) => {
    leading = now
  })
  for (const code of REJECTIONS) {
    metrics.zero('sai_profiler_samples_rejected_total', { service, why: code.toLowerCase() })
  }
  for (const cause of CAUSES) {
    metrics.zero('sai_profiler_profiles_told_total', { service, cause: cause.toLowerCase() })
  }
  metrics.zero('sai_profiler_forecasts_told_total', { service })
  runtime.onEffective(({ events, replaying }) => {
    if (!leading || replaying) return
    for (const event of events) countEvent(metrics, event)
  })
  const { intake, collector } = parts
  metrics.onScrape(async () => {
    metrics.set('sai_profiler_batches_taken', { service }, intake.batches)
    metrics.set('sai_profiler_batches_dropped', { service }, intake.dropped)
    metrics.set('sai_profiler_followed', { service }, collector.followed)
    if (!leading) return
    const { value } = await runtime.read(
      (state, { atMs }) => {
        const open = [...state.jobs.values()].filter((job) => job.placed && job.endedMs === 0)
        const known = open.filter((job) => iterationOf(job, atMs).basis.unknown === '')
        return { open: open.length, known: known.length }
      },
      { timeoutMs: READ_TIMEOUT_MS },
    )
    metrics.set('sai_profiler_jobs', { service }, value.open)
    metrics.set('sai_profiler_iterations_known', { service }, value.known)
  })
}
