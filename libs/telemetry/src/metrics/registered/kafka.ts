import type { MetricSpec } from '../spec.ts'
import { LATENCY, PROCESS, process, topic } from './shared.ts'

export const KAFKA_METRICS = {
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
  sai_telemetry_dropped_batches_total: {
    kind: 'counter',
    unit: '1',
    help: 'Batches of measurements that were dropped because too many waited for the brokers',
    labels: { process },
    from: PROCESS,
    only: 'kafka',
    group: 'kafka',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
