import type { MetricSpec } from '../spec.ts'
import { code, LATENCY, method, PROCESS, process } from './shared.ts'

export const RPC_METRICS = {
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
} as const satisfies Readonly<Record<string, MetricSpec>>
