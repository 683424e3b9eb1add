import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('mediator')

export const MEDIATOR_METRICS = {
  sai_mediator_jobs: {
    kind: 'gauge',
    unit: '1',
    help: 'Jobs that are kept, by state; told by the leader alone',
    labels: {
      service,
      state: {
        meaning: 'State of the job',
        values: [
          'Submitted',
          'Queued',
          'Admitted',
          'Starting',
          'Running',
          'Recovering',
          'Succeeded',
          'Failed',
          'Cancelled',
          'Rejected',
        ],
      },
    },
    from,
    group: 'jobs',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
