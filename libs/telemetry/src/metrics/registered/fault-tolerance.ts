import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('fault-tolerance')

export const FAULT_TOLERANCE_METRICS = {
  sai_fault_tolerance_incidents_total: {
    kind: 'counter',
    unit: '1',
    help: 'Incidents that this replica opened',
    labels: { service },
    from,
    group: 'jobs',
  },
  sai_fault_tolerance_decisions_total: {
    kind: 'counter',
    unit: '1',
    help: 'What was decided about incidents',
    labels: {
      service,
      decision: { meaning: 'What', values: ['RECOVER', 'GIVE_UP'] },
      blame: {
        meaning: 'Where the blame went',
        values: ['Infrastructure', 'User', 'Planned'],
      },
    },
    from,
    group: 'jobs',
  },
  sai_fault_tolerance_recoveries_total: {
    kind: 'counter',
    unit: '1',
    help: 'Recovered gangs: all tasks of the next generation run',
    labels: { service },
    from,
    group: 'jobs',
  },
  sai_fault_tolerance_recovery_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the detection of an incident until all tasks of the next generation ran',
    labels: { service },
    from,
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 300, 900, 3600],
    group: 'jobs',
  },
  sai_fault_tolerance_open_incidents: {
    kind: 'gauge',
    unit: '1',
    help: 'Incidents whose evidence is being gathered; told by the leader alone',
    labels: { service },
    from,
    group: 'jobs',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
