/** What a metric is, before anything was measured. */

/** A label of a metric. */
export interface LabelSpec {
  readonly meaning: string
  /** All values it can have; absent = open, bounded by `seriesMax` of the metric. */
  readonly values?: readonly string[]
}

/** A metric as it is registered. */
export interface MetricSpec {
  /** `counter` only grows, `gauge` is read at each scrape, `histogram` counts into buckets. */
  readonly kind: 'counter' | 'gauge' | 'histogram'
  /** Unit of the value, a part of the name; `1` = a plain number. */
  readonly unit: 'seconds' | 'bytes' | 'ratio' | '1'
  /** One sentence, the `# HELP` line. */
  readonly help: string
  readonly labels: Readonly<Record<string, LabelSpec>>
  /** Services that emit it; `process` = once per process, whatever it serves. */
  readonly from: readonly string[]
  /** Emitted only where this is in use. Absent = always. */
  readonly only?: 'kafka'
  /** Upper ends of the buckets, ascending; the last, endless one is not listed. */
  readonly buckets?: readonly number[]
  /** Label combinations that are kept at most; further ones are counted as `other`. Default 500. */
  readonly seriesMax?: number
  /** Section of the dashboards and of the reference. */
  readonly group:
    | 'runtime'
    | 'rpc'
    | 'jobs'
    | 'pool'
    | 'gateway'
    | 'objectives'
    | 'scaling'
    | 'profiles'
    | 'kafka'
    | 'process'
}
