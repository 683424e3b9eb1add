/** The values of the registered metrics of one process, and how they are written down. */
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  METRICS,
  type MetricName,
} from './registry.ts'
import type { MetricSpec } from './spec.ts'

/** Label combinations of a metric that are kept, where its spec does not say. */
const SERIES_MAX = 500
/** Value of the open labels of what comes beyond. */
const OTHER = 'other'

type Labels = Readonly<Record<string, string>>

/** One label combination. */
interface Series {
  /** `{a="x",b="y"}`, escaped. */
  readonly labels: string
  value: number
  /** Histograms: one number per bucket, the last is the endless one; empty for all others. */
  readonly buckets: number[]
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

class Family {
  readonly name: string
  readonly spec: MetricSpec
  readonly #labelNames: readonly string[]
  /** Series at most; endless where all values of all labels are known. */
  readonly #max: number
  readonly #series = new Map<string, Series>()
  readonly #onOther: () => void

  constructor(name: string, spec: MetricSpec, onOther: () => void) {
    this.name = name
    this.spec = spec
    this.#labelNames = Object.keys(spec.labels)
    const open = Object.values(spec.labels).some(({ values }) => values === undefined)
    this.#max = open ? (spec.seriesMax ?? SERIES_MAX) : Number.POSITIVE_INFINITY
    this.#onOther = onOther
  }

  of(labels: Labels): Series {
    let key = ''
    for (const name of this.#labelNames) key += `${labels[name]}\u0000`
    return this.#series.get(key) ?? this.#add(key, labels)
  }

  #add(key: string, labels: Labels): Series {
    if (this.#series.size >= this.#max && !Object.values(labels).includes(OTHER)) {
      this.#onOther()
      return this.of(this.#cut(labels))
    }
    const text = this.#labelNames.map((name) => `${name}="${escaped(labels[name] ?? '')}"`)
    const buckets = this.spec.kind === 'histogram' ? new Array(this.#ends.length + 1).fill(0) : []
    const one: Series = { labels: text.join(','), value: 0, buckets }
    this.#series.set(key, one)
    return one
  }

  #cut(labels: Labels): Labels {
    const cut = Object.entries(this.spec.labels).map(([name, { values }]) => [
      name,
      values === undefined ? OTHER : labels[name],
    ])
    return Object.fromEntries(cut)
  }

  get #ends(): readonly number[] {
    return this.spec.buckets ?? []
  }

  observe(one: Series, value: number): void {
    const ends = this.#ends
    let at = 0
    while (at < ends.length && value > ends[at]!) at += 1
    one.buckets[at] = one.buckets[at]! + 1
    one.value += value
  }

  clear(): void {
    this.#series.clear()
  }

  /** Lines of the text format. */
  write(lines: string[]): void {
    if (this.#series.size === 0) return
    const { name, spec } = this
    lines.push(`# HELP ${name} ${spec.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`)
    lines.push(`# TYPE ${name} ${spec.kind}`)
    for (const one of this.#series.values()) {
      if (spec.kind === 'histogram') this.#writeHistogram(one, lines)
      else lines.push(`${name}{${one.labels}} ${one.value}`)
    }
  }

  #writeHistogram({ labels, value, buckets }: Series, lines: string[]): void {
    const before = labels === '' ? '' : `${labels},`
    let count = 0
    for (const [index, inBucket] of buckets.entries()) {
      count += inBucket
      const end = this.#ends[index] ?? '+Inf'
      lines.push(`${this.name}_bucket{${before}le="${end}"} ${count}`)
    }
    lines.push(`${this.name}_sum{${labels}} ${value}`, `${this.name}_count{${labels}} ${count}`)
  }
}

/** Sets gauges, and counters that somebody else counts, right before a scrape is answered. */
export type Collector = (metrics: Metrics) => void | Promise<void>

/** Media type of {@link Metrics.text}. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * The metrics of a process. Only registered names with their registered labels can be used, and the
 * number of label combinations is bounded. Adding a value costs well below a microsecond.
 */
export class Metrics {
  /** Value of the label `process`. */
  readonly process: string
  readonly #families = new Map<MetricName, Family>()
  readonly #collectors: Collector[] = []
  /** The scrape before: they come one after another. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(process: string) {
    this.process = process
    const onOther = (): void => this.add('sai_metrics_other_total', { process })
    for (const name of Object.keys(METRICS).filter(isMetricName)) {
      this.#families.set(name, new Family(name, METRICS[name], onOther))
    }
    this.zero('sai_metrics_other_total', { process })
  }

  /** Adds to a counter. */
  add<N extends CounterName>(name: N, labels: LabelsOf<N>, amount = 1): void {
    this.#of(name).of(labels).value += amount
  }

  /** Sets a counter that the system counts itself. */
  total<N extends CounterName>(name: N, labels: LabelsOf<N>, value: number): void {
    this.#of(name).of(labels).value = value
  }

  /** Sets a gauge; values of gauges last for one scrape. */
  set<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number): void {
    this.#of(name).of(labels).value = value
  }

  /** Counts a value into its bucket. */
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void {
    const family = this.#of(name)
    family.observe(family.of(labels), value)
  }

  /**
   * Makes the series of a counter, histogram or gauge visible as 0 before anything has happened,
   * one for each combination of the labels that are not given. Those must have a list of values.
   */
  zero(name: MetricName, given: Labels): void {
    const family = this.#of(name)
    let combinations: Labels[] = [{}]
    for (const [label, { values }] of Object.entries(family.spec.labels)) {
      const value = given[label]
      const choices = value === undefined ? values : [value]
      if (choices === undefined) throw new TypeError(`${name}: no value for label '${label}'`)
      combinations = combinations.flatMap((one) => choices.map((it) => ({ ...one, [label]: it })))
    }
    for (const labels of combinations) family.of(labels)
  }

  /** Registers a collector; one that throws or rejects leaves its metrics out of that scrape. */
  onScrape(collector: Collector): void {
    this.#collectors.push(collector)
  }

  /** All metrics in the text format of Prometheus, version 0.0.4. */
  text(): Promise<string> {
    const text = this.#last.then(() => this.#text())
    this.#last = text
    return text
  }

  async #text(): Promise<string> {
    for (const family of this.#families.values()) if (family.spec.kind === 'gauge') family.clear()
    await Promise.allSettled(this.#collectors.map(async (collect) => collect(this)))
    const lines: string[] = []
    for (const family of this.#families.values()) family.write(lines)
    return `${lines.join('\n')}\n`
  }

  #of(name: MetricName): Family {
    const family = this.#families.get(name)
    if (family === undefined) throw new TypeError(`no such metric: ${name}`)
    return family
  }
}

const isMetricName = (name: string): name is MetricName => Object.hasOwn(METRICS, name)
