import type { MetricSpec } from '../spec.ts'
import { LATENCY } from './shared.ts'

const from = ['gateway']
const service = { meaning: 'Always `gateway`', values: ['gateway'] }
const outcome = {
  meaning: 'How it ended',
  values: ['ok', 'caller-error', 'failed', 'shed', 'deadline', 'cancelled'],
}
/** Answers of models take longer than calls. */
const LONG = [...LATENCY, 25, 50, 100, 250, 500]

export const GATEWAY_METRICS = {
  sai_gateway_requests_total: {
    kind: 'counter',
    unit: '1',
    help: 'Requests to services of tenants that have ended',
    labels: { service, outcome },
    from,
    group: 'gateway',
  },
  sai_gateway_request_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the arrival of a request to its end',
    labels: { service },
    from,
    buckets: LONG,
    group: 'gateway',
  },
  sai_gateway_first_byte_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the arrival of a request to the first byte (stream: token) of its answer',
    labels: { service },
    from,
    buckets: LONG,
    group: 'gateway',
  },
  sai_gateway_queue_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From the arrival of a request until it was given to a replica',
    labels: { service },
    from,
    buckets: LONG,
    group: 'gateway',
  },
  sai_gateway_held_requests: {
    kind: 'gauge',
    unit: '1',
    help: 'Requests that wait for a replica',
    labels: { service },
    from,
    group: 'gateway',
  },
  sai_gateway_running_requests: {
    kind: 'gauge',
    unit: '1',
    help: 'Requests at replicas',
    labels: { service },
    from,
    group: 'gateway',
  },
  sai_gateway_connections: {
    kind: 'gauge',
    unit: '1',
    help: 'Open connections of callers',
    labels: { service },
    from,
    group: 'gateway',
  },
  sai_gateway_buffered_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bodies of requests that are held in memory',
    labels: { service },
    from,
    group: 'gateway',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>
