import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { ROOT } from '../support/root.ts'

/** A measured figure. */
export interface Metric {
  readonly name: string
  /** Median over the repetitions. */
  readonly value: number
  readonly unit: string
  readonly min: number
  readonly max: number
  /** Absent for figures without a budget. */
  readonly budget?: number
  readonly better: 'lower' | 'higher'
  readonly met?: boolean
}

/** What a benchmark hands back. */
export interface BenchResult {
  readonly settings: Readonly<Record<string, string | number>>
  /** What was checked for correctness in the same run. */
  readonly checked: readonly string[]
  /** What limits the figures, as measured in the same run. */
  readonly limits?: readonly string[]
  readonly metrics: readonly Metric[]
}

/** This machine, for result files. */
export function machine(): Readonly<Record<string, string | number>> {
  const [cpu] = cpus()
  return {
    cores: cpus().length,
    cpu: cpu?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  }
}

/** Commit of the checkout, with `+` when it has changes. */
export function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT }).toString().trim()
  try {
    const changes = git('status', '--porcelain') === '' ? '' : '+'
    return `${git('rev-parse', '--short=12', 'HEAD')}${changes}`
  } catch {
    return 'unknown'
  }
}

/** Value at a fraction (0 to 1) of the sorted samples. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))
  return sorted[index] ?? Number.NaN
}

const rounded = (value: number): number => Number(value.toPrecision(4))

/** The sample whose figure is the median of all. */
export function middleOf<T>(samples: readonly T[], figure: (sample: T) => number): T {
  const sorted = [...samples].sort((a, b) => figure(a) - figure(b))
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new RangeError('nothing was measured')
  return middle
}

/** A metric from one value per repetition. */
export function metric(
  name: string,
  unit: string,
  values: readonly number[],
  want: { better: 'lower' | 'higher'; budget?: number },
): Metric {
  const value = quantile(values, 0.5)
  const base = {
    name,
    unit,
    value: rounded(value),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    better: want.better,
  }
  if (want.budget === undefined) return base
  const met = want.better === 'lower' ? value <= want.budget : value >= want.budget
  return { ...base, budget: rounded(want.budget), met }
}

/** Prints a result for people. */
export function printMetrics(metrics: readonly Metric[]): void {
  for (const one of metrics) {
    const spread = `[${one.min} to ${one.max}]`
    const sign = one.better === 'lower' ? '≤' : '≥'
    const budget =
      one.budget === undefined
        ? ''
        : `  budget ${sign} ${one.budget}: ${one.met ? 'met' : 'MISSED'}`
    console.log(`  ${one.name.padEnd(36)} ${one.value} ${one.unit} ${spread}${budget}`)
  }
}
