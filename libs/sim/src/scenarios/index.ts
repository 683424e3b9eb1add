import type { FaultMix, Scenario } from './types.ts'

export { FAULT_KINDS, type FaultKind, type FaultMix, type Scenario } from './types.ts'

const MINUTE_MS = 60_000

const base = {
  replicas: 3,
  nodes: 6,
  devicesPerNode: 4,
  leaseMs: 15_000,
  jobs: 20,
  busyMs: 10 * MINUTE_MS,
  settleMs: 30 * MINUTE_MS,
  appendMs: [1, 8],
  snapshotEveryCommits: 500,
  retentionMs: 0,
} as const

/** Everything at once, each kind now and then. */
const everything: FaultMix = {
  kill: 60_000,
  'crash-at-await': 45_000,
  restart: 180_000,
  pause: 60_000,
  'power-off': 180_000,
  partition: 60_000,
  'log-partition': 90_000,
  'log-storm': 60_000,
  'slow-log': 120_000,
  'log-full': 240_000,
  'bad-disk': 120_000,
  'network-storm': 60_000,
  'clock-jump': 120_000,
  'clock-drift': 120_000,
  'agent-kill': 60_000,
  'agent-hang': 120_000,
  'agent-flap': 120_000,
  'supervisor-kill': 120_000,
  'node-power': 180_000,
  'node-partition': 90_000,
  'node-disk': 120_000,
  'late-desired': 60_000,
}

/** The scenarios by name. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...base,
    name: 'calm',
    about: 'no faults: what goes wrong here needs none',
    faults: {},
  },
  {
    ...base,
    name: 'chaos',
    about: 'every kind of fault at once, small world',
    faults: everything,
  },
  {
    ...base,
    name: 'leaders',
    about: 'the control plane changes leaders all the time, nodes are healthy',
    jobs: 12,
    faults: {
      kill: 15_000,
      'crash-at-await': 15_000,
      restart: 60_000,
      pause: 15_000,
      'power-off': 60_000,
      partition: 30_000,
      'log-partition': 30_000,
      'log-storm': 30_000,
      'slow-log': 60_000,
      'clock-jump': 60_000,
      'clock-drift': 60_000,
    },
  },
  {
    ...base,
    name: 'takeover',
    about: 'one leader dies or hangs at a time, nothing else: how long it takes',
    jobs: 8,
    nodes: 3,
    faults: { kill: 45_000, pause: 45_000 },
  },
  {
    ...base,
    name: 'nodes',
    about: 'agents, supervisors and machines of nodes fail, the control plane is healthy',
    nodes: 8,
    jobs: 30,
    faults: {
      'agent-kill': 20_000,
      'agent-hang': 40_000,
      'agent-flap': 40_000,
      'supervisor-kill': 40_000,
      'node-power': 60_000,
      'node-partition': 30_000,
      'node-disk': 40_000,
      'late-desired': 15_000,
      'clock-drift': 60_000,
      'network-storm': 60_000,
    },
  },
  {
    ...base,
    name: 'storage',
    about: 'log and disks fail, snapshots and trimming at a high rate',
    snapshotEveryCommits: 40,
    retentionMs: 60_000,
    faults: {
      'log-storm': 30_000,
      'slow-log': 60_000,
      'log-full': 60_000,
      'bad-disk': 15_000,
      'power-off': 30_000,
      'crash-at-await': 30_000,
      pause: 60_000,
    },
  },
  {
    ...base,
    name: 'away',
    about: 'a whole service is away for longer than the events it reads are kept',
    jobs: 40,
    snapshotEveryCommits: 20,
    retentionMs: 20_000,
    faults: {
      'service-away': 120_000,
      'agent-kill': 40_000,
      'supervisor-kill': 60_000,
      'node-partition': 60_000,
    },
  },
  {
    ...base,
    name: 'stopped',
    about: 'a replica of each service stops for good, the others go on, agents move to them',
    faults: {
      'log-damaged': 40_000,
      kill: 120_000,
      'agent-flap': 60_000,
      'network-storm': 120_000,
    },
  },
  {
    ...base,
    name: 'reference',
    about: '50 nodes, 200 jobs, 3 replicas each: what the speed is measured with',
    nodes: 50,
    devicesPerNode: 8,
    jobs: 200,
    // As long as 200 jobs make a little more than the 20 commits a second that it stands for.
    busyMs: 28 * MINUTE_MS,
    // A few snapshots of each service; as configured by default there would be none.
    snapshotEveryCommits: 2_000,
    faults: {
      kill: 120_000,
      pause: 120_000,
      'agent-kill': 60_000,
      'node-power': 180_000,
      'network-storm': 120_000,
    },
  },
]

/** The scenario of a name. Throws RangeError that lists the names. */
export function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name)
  if (found !== undefined) return found
  const names = SCENARIOS.map((scenario) => scenario.name).join(', ')
  throw new RangeError(`SCENARIO_UNKNOWN: no scenario '${name}'; there are: ${names}`)
}
