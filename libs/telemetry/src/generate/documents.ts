/** All that is made from the registry, as files. */
import { dashboardOf, GROUPS } from './dashboards.ts'
import { metricsPage } from './reference.ts'

/** Content by path below the repository's root. */
export function telemetryDocuments(): ReadonlyMap<string, string> {
  const dashboards = GROUPS.map((group): [string, string] => [
    `infra/grafana/dashboards/${group}.json`,
    `${JSON.stringify(dashboardOf(group), undefined, 2)}\n`,
  ])
  return new Map([['docs/reference/metrics.md', metricsPage()], ...dashboards])
}
