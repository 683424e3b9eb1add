import { expect, it } from 'vitest'
import { commitText, commitTotals } from './commit-times.ts'

const histogram = (name: string, labels: string, [count, sum]: readonly [number, number]) => `
# HELP ${name} Help
# TYPE ${name} histogram
${name}_bucket{${labels},le="+Inf"} ${count}
${name}_sum{${labels}} ${sum}
${name}_count{${labels}} ${count}
`

const scheduler = (values: Record<'commits' | 'items' | 'appends', readonly [number, number]>) =>
  [
    histogram('sai_runtime_commit_seconds', 'service="scheduler"', values.commits),
    histogram('sai_runtime_commit_items', 'service="scheduler"', values.items),
    histogram(
      'sai_kafka_append_seconds',
      'process="scheduler",topic="t1.serverlessai.log.scheduler.v1"',
      values.appends,
    ),
  ].join('')

it('tells of each service that committed how long a commit took, and its acknowledgement', () => {
  const before = scheduler({ commits: [10, 1], items: [10, 50], appends: [10, 0.5] })
  const after = scheduler({ commits: [14, 1.02], items: [14, 62], appends: [12, 0.502] })
  const events = histogram(
    'sai_kafka_append_seconds',
    'process="scheduler",topic="t1.serverlessai.events.scheduler.v1"',
    [99, 99],
  )
  expect(commitText(commitTotals([before, events]), commitTotals([after, events]))).toBe(
    'scheduler 4 commits of 3.00 items, 5.00 ms each (acknowledged in 1.00)',
  )
})

it('leaves acknowledgements out where no broker gave any', () => {
  const commits = (count: number) =>
    histogram('sai_runtime_commit_seconds', 'service="mediator"', [count, count / 100]) +
    histogram('sai_runtime_commit_items', 'service="mediator"', [count, count])
  expect(commitText(commitTotals([commits(0)]), commitTotals([commits(2)]))).toBe(
    'mediator 2 commits of 1.00 items, 10.0 ms each',
  )
})
