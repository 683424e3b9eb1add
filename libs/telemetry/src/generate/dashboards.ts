/** Dashboards of Grafana, made from the registry: one for each group of metrics. */
import type { Dashboard, Panel, VariableModel } from '@grafana/schema'
import type { MetricSpec } from '../metrics/spec.ts'
import { METRIC_SPECS, ownerOf, queriesOf } from './queries.ts'

/** Schema version of the dashboards; newer Grafanas migrate it when they load it. */
const SCHEMA_VERSION = 41
const COLUMNS = 24
const PANEL_WIDTH = 12
const PANEL_HEIGHT = 8

const TITLES: Readonly<Record<MetricSpec['group'], string>> = {
  runtime: 'Logs, leaders and commits',
  rpc: 'Calls',
  jobs: 'Jobs, queues and recoveries',
  pool: 'Nodes and devices',
  gateway: 'Requests at the edge',
  objectives: 'Objectives and error budgets',
  scaling: 'Scaling',
  profiles: 'Profiles and measurements',
  kafka: 'Kafka',
  process: 'Processes',
}

/** Groups in the order of their dashboards. */
export const GROUPS: readonly MetricSpec['group'][] = [
  'runtime',
  'rpc',
  'jobs',
  'pool',
  'gateway',
  'objectives',
  'scaling',
  'profiles',
  'kafka',
  'process',
]

const DATASOURCE = { type: 'prometheus', uid: '$datasource' }

/** Unit of Grafana for the values of a panel. */
function unitOf({ kind, unit }: MetricSpec): string {
  if (kind === 'counter') return unit === 'bytes' ? 'Bps' : unit === 'seconds' ? 'short' : 'cps'
  return { seconds: 's', bytes: 'bytes', ratio: 'percentunit', '1': 'short' }[unit]
}

/** `sai_runtime_commit_seconds` → `Runtime commit`. */
function titleOf(name: string, { kind, unit }: MetricSpec): string {
  const words = name
    .replace(/^sai_/, '')
    .replace(/_total$/, '')
    .split('_')
  const plain = words.filter((word) => word !== unit || kind === 'counter').join(' ')
  const title = `${plain.charAt(0).toUpperCase()}${plain.slice(1)}`
  return kind === 'counter' ? `${title} per second` : title
}

function panelOf(name: string, spec: MetricSpec, index: number): Panel {
  const perRow = COLUMNS / PANEL_WIDTH
  return {
    id: index + 1,
    type: 'timeseries',
    title: titleOf(name, spec),
    description: `${spec.help}. \`${name}\``,
    datasource: DATASOURCE,
    gridPos: {
      x: (index % perRow) * PANEL_WIDTH,
      y: Math.floor(index / perRow) * PANEL_HEIGHT,
      w: PANEL_WIDTH,
      h: PANEL_HEIGHT,
    },
    fieldConfig: { defaults: { unit: unitOf(spec), min: 0 }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom', showLegend: true } },
    targets: queriesOf(name, spec).map(({ expr, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      range: true,
    })),
  }
}

const variableOf = (owner: 'service' | 'process', metric: string): VariableModel => ({
  type: 'query',
  name: owner,
  label: owner,
  datasource: DATASOURCE,
  query: `label_values(${metric}, ${owner})`,
  refresh: 2,
  includeAll: true,
  multi: true,
  allValue: '.*',
})

/** The dashboard of a group. */
export function dashboardOf(group: MetricSpec['group']): Dashboard {
  const metrics = METRIC_SPECS.filter(([, spec]) => spec.group === group)
  const variables = (['service', 'process'] as const).flatMap((owner) => {
    const first = metrics.find(([, spec]) => ownerOf(spec) === owner)
    return first === undefined ? [] : [variableOf(owner, first[0])]
  })
  return {
    uid: `serverless-ai-${group}`,
    title: `serverless-ai: ${TITLES[group]}`,
    tags: ['serverless-ai'],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    templating: {
      list: [
        { type: 'datasource', name: 'datasource', label: 'datasource', query: 'prometheus' },
        ...variables,
      ],
    },
    links: [
      {
        ...{ title: 'serverless-ai', type: 'dashboards', tags: ['serverless-ai'] },
        ...{ asDropdown: true, icon: '', includeVars: false, keepTime: true },
        ...{ targetBlank: false, tooltip: '', url: '' },
      },
    ],
    panels: metrics.map(([name, spec], index) => panelOf(name, spec, index)),
  }
}
