import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('resource-profiler')

export const RESOURCE_PROFILER_METRICS = {
  sai_profiler_jobs: {
    kind: 'gauge',
    unit: '1',
    help: 'Open jobs that have a profile; told by the leader alone',
    labels: { service },
    from,
    group: 'profiles',
  },
  sai_profiler_iterations_known: {
    kind: 'gauge',
    unit: '1',
    help: 'Of those, how many have a known time of an iteration; told by the leader alone',
    labels: { service },
    from,
    group: 'profiles',
  },
  sai_profiler_profiles_told_total: {
    kind: 'counter',
    unit: '1',
    help: 'Profiles that were published',
    labels: {
      service,
      cause: {
        meaning: 'What changed',
        values: ['known', 'changed', 'unknown', 'ended'],
      },
    },
    from,
    group: 'profiles',
  },
  sai_profiler_forecasts_told_total: {
    kind: 'counter',
    unit: '1',
    help: 'Forecasts that were published',
    labels: { service },
    from,
    group: 'profiles',
  },
  sai_profiler_samples_rejected_total: {
    kind: 'counter',
    unit: '1',
    help: 'Measurements of agents that cannot be',
    labels: {
      service,
      why: {
        meaning: 'Why',
        values: [
          'counter_backwards',
          'reading_stale',
          'sample_absurd',
          'sample_foreign',
          'sample_frozen',
          'sample_future',
          'sample_kind',
          'sample_stale',
          'source_unknown',
        ],
      },
    },
    from,
    group: 'profiles',
  },
  sai_profiler_batches_taken: {
    kind: 'gauge',
    unit: '1',
    help: 'Batches of agents that this replica took since its start',
    labels: { service },
    from,
    group: 'profiles',
  },
  sai_profiler_batches_dropped: {
    kind: 'gauge',
    unit: '1',
    help: 'Of those, how many the telemetry bus did not take',
    labels: { service },
    from,
    group: 'profiles',
  },
  sai_profiler_followed: {
    kind: 'gauge',
    unit: '1',
    help: 'Tasks and devices whose measurements gather at this replica',
    labels: { service },
    from,
    group: 'profiles',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
