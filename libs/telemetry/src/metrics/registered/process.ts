import type { MetricSpec } from '../spec.ts'
import { PROCESS, process } from './shared.ts'

export const PROCESS_METRICS = {
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
