import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('scheduler')

export const SCHEDULER_METRICS = {
  sai_scheduler_queued_jobs: {
    kind: 'gauge',
    unit: '1',
    help: 'Jobs that wait for a place, by primary reason; told by the leader alone',
    labels: {
      service,
      reason: {
        meaning: 'Primary reason code',
        values: [
          'NOT_YET_EVALUATED',
          'EXCEEDS_QUEUE_MAX',
          'NO_MATCHING_NODE',
          'QUOTA_WAIT',
          'CAPACITY_WAIT',
          'GANG_INCOMPLETE',
          'DEPENDENCY_WAIT',
          'BACKOFF',
        ],
      },
    },
    from,
    group: 'jobs',
  },
  sai_scheduler_placed_gangs: {
    kind: 'gauge',
    unit: '1',
    help: 'Gangs that hold an allocation of a running job; told by the leader alone',
    labels: { service },
    from,
    group: 'jobs',
  },
  sai_scheduler_placements_total: {
    kind: 'counter',
    unit: '1',
    help: 'Generations of gangs that this replica placed',
    labels: { service },
    from,
    group: 'jobs',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
