import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('sla-monitor')

export const SLA_MONITOR_METRICS = {
  sai_sla_objectives: {
    kind: 'gauge',
    unit: '1',
    help: 'Objectives that are watched; told by the leader alone',
    labels: { service },
    from,
    group: 'objectives',
  },
  sai_sla_outcomes_total: {
    kind: 'counter',
    unit: '1',
    help: 'Requests and jobs that were counted for an objective',
    labels: {
      service,
      outcome: {
        meaning: 'What they are',
        values: ['good', 'bad', 'excluded', 'unknown', 'late'],
      },
    },
    from,
    group: 'objectives',
  },
  sai_sla_breaches_total: {
    kind: 'counter',
    unit: '1',
    help: 'Burn rate alerts that began',
    labels: { service, severity: { meaning: 'How urgent', values: ['page', 'ticket'] } },
    from,
    group: 'objectives',
  },
  sai_sla_open_breaches: {
    kind: 'gauge',
    unit: '1',
    help: 'Burn rate alerts that last; told by the leader alone',
    labels: { service },
    from,
    group: 'objectives',
  },
  sai_sla_statements_total: {
    kind: 'counter',
    unit: '1',
    help: 'Days of ledgers that were closed',
    labels: { service },
    from,
    group: 'objectives',
  },
  sai_sla_samples_refused_total: {
    kind: 'counter',
    unit: '1',
    help: 'Measurements of requests that were left out',
    labels: {
      service,
      why: { meaning: 'Why', values: ['future', 'impossible'] },
    },
    from,
    group: 'objectives',
  },
  sai_sla_batches_lost: {
    kind: 'gauge',
    unit: '1',
    help: 'Batches of measurements that were lost or are missing; told by the leader alone',
    labels: { service },
    from,
    group: 'objectives',
  },
  sai_sla_sources_unwell: {
    kind: 'gauge',
    unit: '1',
    help: 'Sources of measurements that are silent, frozen or skewed; told by the leader alone',
    labels: { service },
    from,
    group: 'objectives',
  },
  sai_sla_batches_waiting: {
    kind: 'gauge',
    unit: '1',
    help: 'Batches of measurements that wait to be counted',
    labels: { service },
    from,
    group: 'objectives',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
