/**
 * The one list of metrics: what is not here cannot be emitted, and what is here has to be. The
 * reference (`docs/reference/metrics.md`), the dashboards and the checks are made from it.
 */
import type { MetricSpec } from './spec.ts'

/** Services with a log of their own. */
const SERVICES = ['mediator', 'scheduler', 'pool-manager', 'fault-tolerance'] as const
const PROCESS = ['process'] as const

const service = { meaning: 'Service whose log it is', values: SERVICES }
const process = { meaning: 'Name of the process: a service, or `all-in-one`' }
const topic = { meaning: 'Topic, with its prefix where there is one' }
const method = { meaning: 'Full name of the method, `package.Service/Method`' }
const code = { meaning: 'Canonical gRPC code; `OK` = answered' }

/** 0.5 ms to 10 s. */
const LATENCY = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
const BYTES = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]

export const METRICS = {
  sai_runtime_commits_total: {
    kind: 'counter',
    unit: '1',
    help: 'Own commits that were read back as effective',
    labels: {
      service,
      kind: { meaning: 'What the commit is', values: ['normal', 'tick', 'yield'] },
    },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_commit_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the append of a commit until it was read back as effective',
    labels: { service },
    from: SERVICES,
    buckets: LATENCY,
    group: 'runtime',
  },
  sai_runtime_commit_items: {
    kind: 'histogram',
    unit: '1',
    help: 'Commands, inputs, timers and outcomes that shared a commit',
    labels: { service },
    from: SERVICES,
    buckets: SIZES,
    group: 'runtime',
  },
  sai_runtime_commit_bytes: {
    kind: 'histogram',
    unit: 'bytes',
    help: 'Size of commits',
    labels: { service },
    from: SERVICES,
    buckets: BYTES,
    group: 'runtime',
  },
  sai_runtime_events_total: {
    kind: 'counter',
    unit: '1',
    help: 'Domain events in own effective commits',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_commands_total: {
    kind: 'counter',
    unit: '1',
    help: 'Commands of callers that were decided',
    labels: {
      service,
      outcome: { meaning: 'What the core said', values: ['accepted', 'refused'] },
    },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_refusals_total: {
    kind: 'counter',
    unit: '1',
    help: 'Refused commands of callers by reason',
    labels: { service, reason: { meaning: 'Code of docs/reference/errors.md' } },
    from: SERVICES,
    seriesMax: 400,
    group: 'runtime',
  },
  sai_runtime_append_repeats_total: {
    kind: 'counter',
    unit: '1',
    help: 'Appends of a commit that failed, or had no known outcome, and were made again',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_lag_records: {
    kind: 'gauge',
    unit: '1',
    help: 'Records at the end of the log, as of the last fetch, that are not folded yet',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_leading: {
    kind: 'gauge',
    unit: '1',
    help: '1 while this replica leads the partition, else 0',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_epoch: {
    kind: 'gauge',
    unit: '1',
    help: 'Epoch of the last effective claim',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_leadership_changes_total: {
    kind: 'counter',
    unit: '1',
    help: 'Times this replica won or lost the leadership',
    labels: { service, change: { meaning: 'Which', values: ['won', 'lost'] } },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_snapshots_total: {
    kind: 'counter',
    unit: '1',
    help: 'Snapshots that were written',
    labels: {
      service,
      outcome: { meaning: '`failed`: not written, or not usable', values: ['verified', 'failed'] },
    },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_snapshot_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'Time from the beginning of a snapshot until it was read back and compared',
    labels: { service },
    from: SERVICES,
    buckets: LATENCY,
    group: 'runtime',
  },
  sai_runtime_snapshot_age_records: {
    kind: 'gauge',
    unit: '1',
    help: 'Records between the last known snapshot and the folded state: what a start has to fold',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_mailbox_items: {
    kind: 'gauge',
    unit: '1',
    help: 'What waits for the next commit',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_unsettled_effects: {
    kind: 'gauge',
    unit: '1',
    help: 'Calls of other services that are decided and not settled',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_oldest_effect_age_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'Log time since the oldest unsettled effect was decided',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_unpublished_events: {
    kind: 'gauge',
    unit: '1',
    help: 'Public events that are committed and not known to be published',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_parked_inputs: {
    kind: 'gauge',
    unit: '1',
    help: 'Inputs, timers, outcomes and commands that were set aside since the log began',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_alarm: {
    kind: 'gauge',
    unit: '1',
    help: '1 while the partition has an alarm (`sai admin status` tells it), else 0',
    labels: { service },
    from: SERVICES,
    group: 'runtime',
  },
  sai_runtime_round_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: "The core's own round after a batch that did something: placement, for the scheduler",
    labels: { service: { meaning: service.meaning, values: ['scheduler'] } },
    from: ['scheduler'],
    buckets: LATENCY,
    group: 'runtime',
  },
  sai_rpc_server_calls_total: {
    kind: 'counter',
    unit: '1',
    help: 'Calls that were served, streams when they end',
    labels: { process, method, code },
    from: PROCESS,
    seriesMax: 600,
    group: 'rpc',
  },
  sai_rpc_server_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'Time to answer calls with one answer',
    labels: { process, method },
    from: PROCESS,
    buckets: LATENCY,
    seriesMax: 100,
    group: 'rpc',
  },
  sai_rpc_client_calls_total: {
    kind: 'counter',
    unit: '1',
    help: 'Calls of this process that ended, one for each attempt',
    labels: { process, method, code },
    from: PROCESS,
    seriesMax: 600,
    group: 'rpc',
  },
  sai_rpc_client_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'Time until a call with one answer was answered',
    labels: { process, method },
    from: PROCESS,
    buckets: LATENCY,
    seriesMax: 100,
    group: 'rpc',
  },
  sai_mediator_jobs: {
    kind: 'gauge',
    unit: '1',
    help: 'Jobs that are kept, by state; told by the leader alone',
    labels: {
      service: { meaning: service.meaning, values: ['mediator'] },
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
    from: ['mediator'],
    group: 'jobs',
  },
  sai_scheduler_queued_jobs: {
    kind: 'gauge',
    unit: '1',
    help: 'Jobs that wait for a place, by primary reason; told by the leader alone',
    labels: {
      service: { meaning: service.meaning, values: ['scheduler'] },
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
    from: ['scheduler'],
    group: 'jobs',
  },
  sai_scheduler_placed_gangs: {
    kind: 'gauge',
    unit: '1',
    help: 'Gangs that hold an allocation of a running job; told by the leader alone',
    labels: { service: { meaning: service.meaning, values: ['scheduler'] } },
    from: ['scheduler'],
    group: 'jobs',
  },
  sai_scheduler_placements_total: {
    kind: 'counter',
    unit: '1',
    help: 'Generations of gangs that this replica placed',
    labels: { service: { meaning: service.meaning, values: ['scheduler'] } },
    from: ['scheduler'],
    group: 'jobs',
  },
  sai_fault_tolerance_incidents_total: {
    kind: 'counter',
    unit: '1',
    help: 'Incidents that this replica opened',
    labels: { service: { meaning: service.meaning, values: ['fault-tolerance'] } },
    from: ['fault-tolerance'],
    group: 'jobs',
  },
  sai_fault_tolerance_decisions_total: {
    kind: 'counter',
    unit: '1',
    help: 'What was decided about incidents',
    labels: {
      service: { meaning: service.meaning, values: ['fault-tolerance'] },
      decision: { meaning: 'What', values: ['RECOVER', 'GIVE_UP'] },
      blame: {
        meaning: 'Where the blame went',
        values: ['Infrastructure', 'User', 'Planned'],
      },
    },
    from: ['fault-tolerance'],
    group: 'jobs',
  },
  sai_fault_tolerance_recoveries_total: {
    kind: 'counter',
    unit: '1',
    help: 'Recovered gangs: all tasks of the next generation run',
    labels: { service: { meaning: service.meaning, values: ['fault-tolerance'] } },
    from: ['fault-tolerance'],
    group: 'jobs',
  },
  sai_fault_tolerance_recovery_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the detection of an incident until all tasks of the next generation ran',
    labels: { service: { meaning: service.meaning, values: ['fault-tolerance'] } },
    from: ['fault-tolerance'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 300, 900, 3600],
    group: 'jobs',
  },
  sai_fault_tolerance_open_incidents: {
    kind: 'gauge',
    unit: '1',
    help: 'Incidents whose evidence is being gathered; told by the leader alone',
    labels: { service: { meaning: service.meaning, values: ['fault-tolerance'] } },
    from: ['fault-tolerance'],
    group: 'jobs',
  },
  sai_pool_nodes: {
    kind: 'gauge',
    unit: '1',
    help: 'Nodes by state; told by the leader alone',
    labels: {
      service: { meaning: service.meaning, values: ['pool-manager'] },
      state: { meaning: 'State of the node', values: ['Ready', 'Disconnected', 'Lost'] },
    },
    from: ['pool-manager'],
    group: 'pool',
  },
  sai_pool_devices: {
    kind: 'gauge',
    unit: '1',
    help: 'Devices of all nodes by state, emulated ones counted apart; told by the leader alone',
    labels: {
      service: { meaning: service.meaning, values: ['pool-manager'] },
      state: {
        meaning: '`away`: of a node that is not ready; `unhealthy` before `used` before `free`',
        values: ['free', 'used', 'unhealthy', 'away'],
      },
      emulated: { meaning: 'Whether there is a device behind it', values: ['true', 'false'] },
    },
    from: ['pool-manager'],
    group: 'pool',
  },
  sai_pool_executions: {
    kind: 'gauge',
    unit: '1',
    help: 'Runs of tasks whose devices are not free, by state; told by the leader alone',
    labels: {
      service: { meaning: service.meaning, values: ['pool-manager'] },
      state: {
        meaning: 'Where the run stands',
        values: ['Assigned', 'Running', 'Stopping', 'Exited'],
      },
    },
    from: ['pool-manager'],
    group: 'pool',
  },
  sai_kafka_appends_total: {
    kind: 'counter',
    unit: '1',
    help: 'Batches that Kafka acknowledged',
    labels: { process, topic },
    from: PROCESS,
    only: 'kafka',
    group: 'kafka',
  },
  sai_kafka_append_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the first attempt to send a batch until its outcome was known',
    labels: { process, topic },
    from: PROCESS,
    only: 'kafka',
    buckets: LATENCY,
    group: 'kafka',
  },
  sai_kafka_append_bytes_total: {
    kind: 'counter',
    unit: 'bytes',
    help: 'Bytes of acknowledged batches before compression and framing',
    labels: { process, topic },
    from: PROCESS,
    only: 'kafka',
    group: 'kafka',
  },
  sai_kafka_append_retries_total: {
    kind: 'counter',
    unit: '1',
    help: 'Batches that were certainly not written and were sent again',
    labels: { process, topic },
    from: PROCESS,
    only: 'kafka',
    group: 'kafka',
  },
  sai_kafka_append_failures_total: {
    kind: 'counter',
    unit: '1',
    help: 'Batches that were not acknowledged in the end',
    labels: {
      process,
      topic,
      outcome: { meaning: '`unknown`: they may be in the log', values: ['unknown', 'refused'] },
    },
    from: PROCESS,
    only: 'kafka',
    group: 'kafka',
  },
  sai_process_cpu_seconds_total: {
    kind: 'counter',
    unit: 'seconds',
    help: 'Processor time of the process, user and system',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
  sai_process_resident_memory_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Resident memory of the process',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
  sai_process_heap_used_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Heap of the JavaScript engine that is in use',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
  sai_process_event_loop_utilization_ratio: {
    kind: 'gauge',
    unit: 'ratio',
    help: 'Part of the time since the scrape before in which the event loop was busy',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
  sai_process_start_time_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'Start of the process, seconds since 1970',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
  sai_build_info: {
    kind: 'gauge',
    unit: '1',
    help: 'Always 1; the labels tell what runs',
    labels: {
      process,
      version: { meaning: 'Version of the product' },
      replica: { meaning: 'Name of the replica' },
      log: { meaning: 'Adapter of the event log', values: ['memory', 'sqlite', 'kafka'] },
    },
    from: PROCESS,
    group: 'process',
  },
  sai_metrics_other_total: {
    kind: 'counter',
    unit: '1',
    help: 'Values that were counted as `other` because a metric had too many label combinations',
    labels: { process },
    from: PROCESS,
    group: 'process',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>

/** Name of a registered metric. */
export type MetricName = keyof typeof METRICS
type Spec<N extends MetricName> = (typeof METRICS)[N]

/** Values of the labels of a metric. */
export type LabelsOf<N extends MetricName> = {
  readonly [L in keyof Spec<N>['labels'] & string]: string
}

type OfKind<K extends MetricSpec['kind']> = {
  [N in MetricName]: Spec<N>['kind'] extends K ? N : never
}[MetricName]

export type CounterName = OfKind<'counter'>
export type GaugeName = OfKind<'gauge'>
export type HistogramName = OfKind<'histogram'>
