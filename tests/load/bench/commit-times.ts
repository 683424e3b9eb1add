import { logTopic } from '@serverless-ai/eventlog'
import { SERVICE_NAMES } from '@serverless-ai/hosting'
import { type Exposed, readExposition, type Sample } from '../../e2e/telemetry/exposition.ts'

/** How often something happened, and the sum of what was observed. */
interface Total {
  readonly count: number
  readonly sum: number
}

/** What services tell of their commits since they started, in their metrics. */
export interface CommitTotals {
  /** From the append until it was read back, s. */
  readonly commits: Total
  /** Commands, inputs, timers and outcomes in them. */
  readonly items: Total
  /** Batches on their way to the brokers until their acknowledgement, s; none without Kafka. */
  readonly appends: Total
}

const NONE: Total = { count: 0, sum: 0 }

function total(metric: Exposed | undefined, matches: (labels: Sample['labels']) => boolean): Total {
  if (metric === undefined) return NONE
  const of = (end: string): number =>
    metric.samples
      .filter(({ name, labels }) => name === `${metric.name}${end}` && matches(labels))
      .reduce((sum, { value }) => sum + value, 0)
  return { count: of('_count'), sum: of('_sum') }
}

const plus = (a: Total, b: Total): Total => ({ count: a.count + b.count, sum: a.sum + b.sum })
const minus = (a: Total, b: Total): Total => ({ count: a.count - b.count, sum: a.sum - b.sum })

/** Totals by service, from the texts that `/metrics` of its processes answers. */
export function commitTotals(texts: readonly string[]): ReadonlyMap<string, CommitTotals> {
  const processes = texts.map(readExposition)
  const over = (name: string, matches: (labels: Sample['labels']) => boolean): Total =>
    processes.map((metrics) => total(metrics.get(name), matches)).reduce(plus, NONE)
  return new Map(
    SERVICE_NAMES.map((service) => {
      const own = (labels: Sample['labels']): boolean => labels['service'] === service
      const log = ({ topic = '' }: Sample['labels']): boolean => topic.endsWith(logTopic(service))
      const totals = {
        commits: over('sai_runtime_commit_seconds', own),
        items: over('sai_runtime_commit_items', own),
        appends: over('sai_kafka_append_seconds', log),
      }
      return [service, totals] as const
    }),
  )
}

/** Asks processes for their totals; `health` are the addresses above their `/metrics`. */
export async function askCommitTotals(
  health: readonly string[],
): Promise<ReadonlyMap<string, CommitTotals>> {
  const texts = health.map(async (url) => (await fetch(`${url}/metrics`)).text())
  return commitTotals(await Promise.all(texts))
}

const short = (value: number): string => value.toPrecision(3)

/**
 * `mediator 40 commits of 3.2, 2.41 ms (acknowledged in 1.10)` for each service that committed
 * between two looks.
 */
export function commitText(
  before: ReadonlyMap<string, CommitTotals>,
  after: ReadonlyMap<string, CommitTotals>,
): string {
  const texts = [...after].flatMap(([service, now]) => {
    const then = before.get(service)
    if (then === undefined) return []
    const commits = minus(now.commits, then.commits)
    if (commits.count === 0) return []
    const items = minus(now.items, then.items)
    const appends = minus(now.appends, then.appends)
    const ms = ({ count, sum }: Total): string => short((sum * 1_000) / count)
    const ack = appends.count === 0 ? '' : ` (acknowledged in ${ms(appends)})`
    const size = short(items.sum / items.count)
    return [`${service} ${commits.count} commits of ${size} items, ${ms(commits)} ms each${ack}`]
  })
  return texts.join('; ')
}
