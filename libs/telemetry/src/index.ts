export { createLogger, type LoggerOptions } from './logger.ts'
export {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  METRICS,
  type MetricName,
} from './metrics/registry.ts'
export type { LabelSpec, MetricSpec } from './metrics/spec.ts'
export { type Collector, METRICS_CONTENT_TYPE, Metrics } from './metrics/store.ts'
