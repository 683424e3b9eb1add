/** `docs/reference/metrics.md`, made from the registry. */
import type { MetricSpec } from '../metrics/spec.ts'
import { GROUPS } from './dashboards.ts'
import { METRIC_SPECS } from './queries.ts'

const TITLES: Readonly<Record<MetricSpec['group'], string>> = {
  runtime: 'Logs, leaders and commits',
  rpc: 'Calls',
  jobs: 'Jobs, queues and recoveries',
  pool: 'Nodes and devices',
  gateway: 'Requests at the edge',
  objectives: 'Objectives and error budgets',
  scaling: 'Scaling',
  profiles: 'Profiles and measurements',
  kafka: 'Kafka (only where the log is on Kafka)',
  process: 'Processes',
}

/** One paragraph a line. */
const INTRODUCTION = [
  '# Metrics',
  [
    'Every process of the control plane answers `GET /metrics` in the text format of Prometheus,',
    'on the port of its health endpoints (the one after its gRPC port). The list is complete: a',
    'process emits nothing else, and each service emits all that is listed for it. Counters begin',
    'at 0 with the process.',
  ],
  [
    'Metrics with the label `service` belong to the log of that service; those with `process` to a',
    'process as a whole (the name of the all-in-one process is `all-in-one`). Numbers of jobs,',
    'nodes, devices and incidents are told by the leader alone. Label combinations are',
    'bounded: what comes beyond is counted under `other`, and in `sai_metrics_other_total`.',
  ],
  [
    'Dashboards: `infra/grafana`. Alert rules: `infra/prometheus/rules.yml`. Traces and log lines:',
    '`docs/how-to/observe.md`. This page is generated from',
    '`libs/telemetry/src/metrics/registry.ts`.',
  ],
]
  .map((lines) => `${[lines].flat().join('\n')}\n`)
  .join('\n')

function labelText([name, { meaning, values }]: [string, MetricSpec['labels'][string]]): string {
  const known = values === undefined ? '' : ` (${values.map((one) => `\`${one}\``).join(', ')})`
  return `\`${name}\`: ${meaning}${known}`
}

function metricText(name: string, spec: MetricSpec): string {
  const { kind, unit, help, labels, from, buckets } = spec
  const unitText = unit === '1' ? '' : `, ${unit}`
  const whose = from.includes('process') ? 'every process' : from.join(', ')
  const lines = [
    `### ${name}`,
    '',
    `${help}. (${kind}${unitText}; ${whose})`,
    '',
    ...Object.entries(labels).map((label) => `- ${labelText(label)}`),
    ...(buckets === undefined ? [] : [`- Buckets end at ${buckets.join(', ')}.`]),
  ]
  return `${lines.join('\n')}\n`
}

/** The page. */
export function metricsPage(): string {
  const sections = GROUPS.map((group) => {
    const metrics = METRIC_SPECS.filter(([, spec]) => spec.group === group)
    const texts = metrics.map(([name, spec]) => metricText(name, spec))
    return [`## ${TITLES[group]}\n`, ...texts].join('\n')
  })
  return [INTRODUCTION, ...sections].join('\n')
}
