import type { MetricSpec } from '../spec.ts'
import { of } from './shared.ts'

const { service, from } = of('pool-manager')

export const POOL_MANAGER_METRICS = {
  sai_pool_nodes: {
    kind: 'gauge',
    unit: '1',
    help: 'Nodes by state; told by the leader alone',
    labels: {
      service,
      state: { meaning: 'State of the node', values: ['Ready', 'Disconnected', 'Lost'] },
    },
    from,
    group: 'pool',
  },
  sai_pool_devices: {
    kind: 'gauge',
    unit: '1',
    help: 'Devices of all nodes by state, emulated ones counted apart; told by the leader alone',
    labels: {
      service,
      state: {
        meaning: '`away`: of a node that is not ready; `unhealthy` before `used` before `free`',
        values: ['free', 'used', 'unhealthy', 'away'],
      },
      emulated: { meaning: 'Whether there is a device behind it', values: ['true', 'false'] },
    },
    from,
    group: 'pool',
  },
  sai_pool_executions: {
    kind: 'gauge',
    unit: '1',
    help: 'Runs of tasks whose devices are not free, by state; told by the leader alone',
    labels: {
      service,
      state: {
        meaning: 'Where the run stands',
        values: ['Assigned', 'Running', 'Stopping', 'Exited'],
      },
    },
    from,
    group: 'pool',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
