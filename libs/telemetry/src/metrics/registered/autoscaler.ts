import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('autoscaler')

export const AUTOSCALER_METRICS = {
  sai_autoscaler_targets: {
    kind: 'gauge',
    unit: '1',
    help: 'Services and elastic training jobs that are watched; told by the leader alone',
    labels: { service },
    from,
    group: 'scaling',
  },
  sai_autoscaler_awake_targets: {
    kind: 'gauge',
    unit: '1',
    help: 'Of those, services that are looked at each step; told by the leader alone',
    labels: { service },
    from,
    group: 'scaling',
  },
  sai_autoscaler_wanted: {
    kind: 'gauge',
    unit: '1',
    help: 'Replicas and tasks that are wanted of all targets; told by the leader alone',
    labels: { service },
    from,
    group: 'scaling',
  },
  sai_autoscaler_granted: {
    kind: 'gauge',
    unit: '1',
    help: 'Replicas and tasks of all targets that hold devices; told by the leader alone',
    labels: { service },
    from,
    group: 'scaling',
  },
  sai_autoscaler_steps_total: {
    kind: 'counter',
    unit: '1',
    help: 'Steps that were recorded',
    labels: { service },
    from,
    group: 'scaling',
  },
  sai_autoscaler_decisions_total: {
    kind: 'counter',
    unit: '1',
    help: 'Decisions that were recorded',
    labels: {
      service,
      outcome: { meaning: 'What became of them', values: ['applied', 'advised', 'held'] },
      policy: { meaning: 'Who made them', values: ['predictive', 'kpa', 'hpa', 'share'] },
    },
    from,
    group: 'scaling',
  },
  sai_autoscaler_resizes_total: {
    kind: 'counter',
    unit: '1',
    help: 'Answers of the scheduler to decisions',
    labels: { service, result: { meaning: 'Its answer', values: ['taken', 'refused'] } },
    from,
    group: 'scaling',
  },
  sai_autoscaler_lost_steps: {
    kind: 'gauge',
    unit: '1',
    help: 'Steps of this process that could not be committed',
    labels: { service },
    from,
    group: 'scaling',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
