/**
 * The one list of metrics: what is not here cannot be emitted, and what is here has to be. The
 * reference (`docs/reference/metrics.md`), the dashboards and the checks are made from it, in this
 * order.
 */
import { AUTOSCALER_METRICS } from './registered/autoscaler.ts'
import { FAULT_TOLERANCE_METRICS } from './registered/fault-tolerance.ts'
import { GATEWAY_METRICS } from './registered/gateway.ts'
import { KAFKA_METRICS } from './registered/kafka.ts'
import { MEDIATOR_METRICS } from './registered/mediator.ts'
import { POOL_MANAGER_METRICS } from './registered/pool-manager.ts'
import { PROCESS_METRICS } from './registered/process.ts'
import { RESOURCE_PROFILER_METRICS } from './registered/resource-profiler.ts'
import { RPC_METRICS } from './registered/rpc.ts'
import { RUNTIME_METRICS } from './registered/runtime.ts'
import { SCHEDULER_METRICS } from './registered/scheduler.ts'
import { SLA_MONITOR_METRICS } from './registered/sla-monitor.ts'
import type { MetricSpec } from './spec.ts'

export const METRICS = {
  ...RUNTIME_METRICS,
  ...RPC_METRICS,
  ...MEDIATOR_METRICS,
  ...SCHEDULER_METRICS,
  ...FAULT_TOLERANCE_METRICS,
  ...POOL_MANAGER_METRICS,
  ...GATEWAY_METRICS,
  ...SLA_MONITOR_METRICS,
  ...AUTOSCALER_METRICS,
  ...RESOURCE_PROFILER_METRICS,
  ...KAFKA_METRICS,
  ...PROCESS_METRICS,
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
