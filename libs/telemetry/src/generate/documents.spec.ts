import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS } from '../metrics/registry.ts'
import { dashboardOf, GROUPS } from './dashboards.ts'
import { telemetryDocuments } from './documents.ts'
import { METRIC_SPECS } from './queries.ts'

const ROOT = join(import.meta.dirname, '../../../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

describe('what is made from the registry', () => {
  it.each([...telemetryDocuments()])(
    '%s is as in the repository (npm run gen)',
    (path, content) => {
      expect(read(path)).toBe(content)
    },
  )

  it('leaves no older dashboard behind', () => {
    const files = readdirSync(join(ROOT, 'infra/grafana/dashboards'))
    expect(files.sort()).toEqual(GROUPS.map((group) => `${group}.json`).sort())
  })
})

describe('the dashboards', () => {
  const panels = GROUPS.flatMap((group) => dashboardOf(group).panels ?? [])

  it('have a panel for each metric, with a unit and queries', () => {
    expect(panels).toHaveLength(METRIC_SPECS.length)
    const text = JSON.stringify(panels)
    for (const [name] of METRIC_SPECS) expect(text).toContain(`${name}`)
    for (const panel of panels) {
      if (panel.type === 'row') continue
      expect(panel.title).toBeTruthy()
      expect(Reflect.get(panel, 'targets')).not.toEqual([])
    }
  })

  it('place no two panels over each other', () => {
    for (const group of GROUPS) {
      const own = dashboardOf(group).panels ?? []
      const places = own.map(({ gridPos }) => `${gridPos?.x}/${gridPos?.y}`)
      expect(new Set(places).size).toBe(own.length)
      expect(new Set(own.map(({ id }) => id)).size).toBe(own.length)
    }
  })
})

/** Words of a text that look like names of metrics, without the endings of histograms. */
const namesIn = (text: string) =>
  [...text.matchAll(/\bsai_[a-z0-9_]+/g)].map(([name]) => {
    const base = name.replace(/_(bucket|count|sum)$/, '')
    return Object.hasOwn(METRICS, base) ? base : name
  })

describe('the alert rules', () => {
  const rules: { expr: string; alert: string; labels: unknown; annotations: unknown }[] = parse(
    read('infra/prometheus/rules.yml'),
  ).groups[0].rules

  it('are over registered metrics and values of labels only', () => {
    expect(rules.length).toBeGreaterThan(8)
    for (const { expr, alert } of rules) {
      const names = namesIn(expr)
      if (alert !== 'SaiProcessDown') expect(names, alert).not.toEqual([])
      for (const name of names) expect(Object.keys(METRICS), alert).toContain(name)
      const spec = METRIC_SPECS.find(([name]) => name === names[0])?.[1]
      for (const [, label = '', value = ''] of expr.matchAll(/(\w+)="([^"]*)"/g)) {
        if (alert === 'SaiProcessDown') continue
        expect(spec?.labels[label]?.values, `${alert} ${label}`).toContain(value)
      }
    }
  })

  it('say how bad it is and what it is', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(labels, alert).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/) })
      expect(annotations, alert).toEqual({ summary: expect.any(String) })
    }
  })
})

describe('the configuration of the collector', () => {
  it('has a pipeline for traces of parts that are there', () => {
    const { service, ...parts } = parse(read('infra/otel/collector.yaml'))
    const { traces } = service.pipelines
    for (const kind of ['receivers', 'processors', 'exporters'] as const) {
      expect(Object.keys(parts[kind]).sort()).toEqual([...traces[kind]].sort())
    }
  })
})
