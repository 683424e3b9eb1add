import { describe, expect, it } from 'vitest'
import { METRICS } from './registry.ts'
import type { MetricSpec } from './spec.ts'
import { Metrics } from './store.ts'

const SERVICE = { service: 'scheduler' } as const

describe('metrics of a process', () => {
  it('writes counters, gauges and histograms in the text format', async () => {
    const metrics = new Metrics('all-in-one')
    metrics.add('sai_runtime_commits_total', { ...SERVICE, kind: 'normal' }, 3)
    metrics.observe('sai_runtime_commit_items', SERVICE, 1)
    metrics.observe('sai_runtime_commit_items', SERVICE, 3)
    metrics.observe('sai_runtime_commit_items', SERVICE, 5000)
    metrics.onScrape((into) => into.set('sai_runtime_leading', SERVICE, 1))
    const lines = (await metrics.text()).split('\n')
    expect(lines).toContain('# TYPE sai_runtime_commits_total counter')
    expect(lines).toContain('sai_runtime_commits_total{service="scheduler",kind="normal"} 3')
    expect(lines).toContain('sai_runtime_commit_items_bucket{service="scheduler",le="1"} 1')
    expect(lines).toContain('sai_runtime_commit_items_bucket{service="scheduler",le="2"} 1')
    expect(lines).toContain('sai_runtime_commit_items_bucket{service="scheduler",le="4"} 2')
    expect(lines).toContain('sai_runtime_commit_items_bucket{service="scheduler",le="1024"} 2')
    expect(lines).toContain('sai_runtime_commit_items_bucket{service="scheduler",le="+Inf"} 3')
    expect(lines).toContain('sai_runtime_commit_items_sum{service="scheduler"} 5004')
    expect(lines).toContain('sai_runtime_commit_items_count{service="scheduler"} 3')
    expect(lines).toContain('sai_runtime_leading{service="scheduler"} 1')
  })

  it('escapes what a label may hold', async () => {
    const metrics = new Metrics('p')
    metrics.add('sai_kafka_appends_total', { process: 'a"b\\c\nd', topic: 't' })
    expect(await metrics.text()).toContain('{process="a\\"b\\\\c\\nd",topic="t"} 1')
  })

  it('forgets a gauge that nobody sets any more, and keeps counters', async () => {
    const metrics = new Metrics('p')
    let states = ['Running', 'Failed']
    metrics.onScrape((into) => {
      for (const state of states) into.set('sai_mediator_jobs', { service: 'mediator', state }, 1)
    })
    metrics.add('sai_runtime_events_total', SERVICE)
    expect(await metrics.text()).toContain('state="Failed"')
    states = ['Running']
    const text = await metrics.text()
    expect(text).not.toContain('state="Failed"')
    expect(text).toContain('sai_runtime_events_total{service="scheduler"} 1')
  })

  it('bounds the label combinations and says how much it left out', async () => {
    const metrics = new Metrics('p')
    const max = METRICS.sai_runtime_refusals_total.seriesMax
    for (let i = 0; i < max + 25; i++) {
      metrics.add('sai_runtime_refusals_total', { ...SERVICE, reason: `R${i}` })
    }
    const lines = (await metrics.text()).split('\n')
    const series = lines.filter((line) => line.startsWith('sai_runtime_refusals_total{'))
    expect(series).toHaveLength(max + 1)
    expect(series.at(-1)).toBe('sai_runtime_refusals_total{service="scheduler",reason="other"} 25')
    expect(lines).toContain('sai_metrics_other_total{process="p"} 25')
  })

  it('shows as 0 what has not happened, for all values of the other labels', async () => {
    const metrics = new Metrics('p')
    metrics.zero('sai_runtime_commits_total', SERVICE)
    metrics.zero('sai_runtime_commit_seconds', SERVICE)
    const text = await metrics.text()
    for (const kind of ['normal', 'tick', 'yield']) {
      expect(text).toContain(`sai_runtime_commits_total{service="scheduler",kind="${kind}"} 0`)
    }
    expect(text).toContain('sai_runtime_commit_seconds_count{service="scheduler"} 0')
    expect(() => metrics.zero('sai_runtime_refusals_total', SERVICE)).toThrow(/reason/)
  })

  it('answers a scrape although a collector fails', async () => {
    const metrics = new Metrics('p')
    metrics.onScrape(() => Promise.reject(new Error('no')))
    metrics.onScrape(() => {
      throw new Error('no')
    })
    metrics.onScrape((into) => into.set('sai_runtime_epoch', SERVICE, 4))
    expect(await metrics.text()).toContain('sai_runtime_epoch{service="scheduler"} 4')
  })
})

describe('the registry', () => {
  const all = Object.entries<MetricSpec>(METRICS)

  it('has names that say unit and kind', () => {
    for (const [name, { kind, unit, labels }] of all) {
      expect(name).toMatch(/^sai_[a-z0-9]+(_[a-z0-9]+)*$/)
      expect(name.endsWith('_total')).toBe(kind === 'counter')
      if (unit !== '1') expect(name).toContain(`_${unit}`)
      for (const label of Object.keys(labels)) expect(label).toMatch(/^[a-z][a-z0-9_]*$/)
    }
  })

  it('has ascending buckets for histograms, and only for them', () => {
    for (const [, { kind, buckets }] of all) {
      expect(buckets !== undefined).toBe(kind === 'histogram')
      const ends = buckets ?? []
      expect(ends.toSorted((a, b) => a - b)).toEqual([...new Set(ends)])
    }
  })

  it('gives each metric the label that says whose it is', () => {
    for (const [, { from, labels }] of all) {
      const owner = from.includes('process') ? 'process' : 'service'
      expect(Object.keys(labels)).toContain(owner)
      if (owner === 'service') expect(labels['service']?.values).toEqual(from)
    }
  })
})
