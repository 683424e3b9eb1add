/** What a dashboard asks Prometheus for a metric, by its kind and labels alone. */
import type { MetricName } from '../metrics/registry.ts'
import { METRICS } from '../metrics/registry.ts'
import type { MetricSpec } from '../metrics/spec.ts'

/** A query with the text for its lines. */
export interface Query {
  readonly expr: string
  readonly legend: string
}

/** Interval of rates, as Grafana fills it in. */
const INTERVAL = '$__rate_interval'
/** Quantiles of a histogram. */
const QUANTILES = [
  [0.5, 'p50'],
  [0.99, 'p99'],
] as const

/** Gauges of which replicas add up; of all others each tells the same, or the worst counts. */
const SUMMED: ReadonlySet<string> = new Set<MetricName>([
  'sai_runtime_leading',
  'sai_process_resident_memory_bytes',
])

const own = ({ labels }: MetricSpec): readonly string[] => Object.keys(labels)

/** The variable of the dashboard that selects by this metric's owner. */
export const ownerOf = (spec: MetricSpec): 'service' | 'process' =>
  own(spec).includes('service') ? 'service' : 'process'

const legendOf = (labels: readonly string[]): string =>
  labels.map((label) => `{{${label}}}`).join(' ')

/** Queries of a metric: rates of counters, quantiles of histograms, gauges as they are. */
export function queriesOf(name: string, spec: MetricSpec): readonly Query[] {
  const owner = ownerOf(spec)
  const select = `{${owner}=~"$${owner}"}`
  const labels = own(spec)
  const by = labels.join(', ')
  const legend = legendOf(labels)
  if (spec.kind === 'counter') {
    return [{ expr: `sum by (${by}) (rate(${name}${select}[${INTERVAL}]))`, legend }]
  }
  if (spec.kind === 'gauge') {
    const fold = SUMMED.has(name) ? 'sum' : 'max'
    return [{ expr: `${fold} by (${by}) (${name}${select})`, legend }]
  }
  const rates = `sum by (le, ${by}) (rate(${name}_bucket${select}[${INTERVAL}]))`
  return QUANTILES.map(([quantile, text]) => ({
    expr: `histogram_quantile(${quantile}, ${rates})`,
    legend: `${text} ${legend}`,
  }))
}

/** A query as Prometheus takes it: what Grafana fills in is filled in. */
export const filledIn = ({ expr }: Query): string =>
  expr.replaceAll(INTERVAL, '1m').replaceAll(/\$(service|process)/g, '.*')

/** All metrics with their specs. */
export const METRIC_SPECS: readonly (readonly [string, MetricSpec])[] = Object.entries(METRICS)
