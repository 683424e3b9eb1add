import { connect } from '@serverless-ai/client'
import type { EventLog } from '@serverless-ai/eventlog'
import { SERVICE_NAMES } from '@serverless-ai/hosting'
import { readHistory } from '@serverless-ai/sim'
import { type Anomaly, anomaliesOf } from './anomalies.ts'
import { appliedOf } from './applied.ts'
import type { Cluster } from './cluster.ts'
import { LoadGenerator } from './load.ts'
import { readCell } from './log-tail.ts'

/** Whose jobs the load is made of. */
export const TENANT = 'team-a'
/** Services whose leaders are lost, and their replicas: two cores decide nothing with more. */
export const LED = ['mediator', 'scheduler'] as const
export const REPLICAS = { mediator: 2, scheduler: 2 } as const
const PAUSE_MS = 40

/** Makes a queue of a tenant, by default one of its name. */
export async function makeQueue(cluster: Cluster, tenant: string, name = tenant): Promise<void> {
  const address = cluster.addressOf('scheduler')
  await using platform = connect({ address, token: cluster.tokens.admin })
  await platform.createQueue({ name, tenant })
}

/** Does `work` while users never stop; afterwards they come to their ends. */
export async function underLoad(
  cluster: Cluster,
  options: { readonly users: number; readonly seed: number; readonly patienceMs: number },
  work: (load: LoadGenerator) => Promise<void>,
): Promise<LoadGenerator> {
  await makeQueue(cluster, TENANT)
  const load = new LoadGenerator({
    address: cluster.addressOf('mediator'),
    token: cluster.tokens.tenants[TENANT] ?? '',
    ...{ queue: TENANT, users: options.users, seed: options.seed, pauseMs: PAUSE_MS },
  })
  load.start()
  try {
    await work(load)
  } finally {
    await load.stop(options.patienceMs)
  }
  return load
}

/** What users were answered, beside what the logs hold. */
export interface Verdict {
  readonly operations: number
  readonly accepted: number
  readonly commits: number
  readonly leaderChanges: number
  readonly anomalies: readonly Anomaly[]
  /** Sentences about records that cannot be. */
  readonly problems: readonly string[]
}

/** Compares the answers of a load that has ended with the logs of its cell. */
export async function verdictOf(log: EventLog, load: LoadGenerator): Promise<Verdict> {
  const history = readHistory(await readCell(log, SERVICE_NAMES))
  return {
    operations: load.history.length,
    accepted: load.accepted,
    commits: history.commits.length,
    leaderChanges: history.claims.length,
    anomalies: anomaliesOf(load.history, appliedOf(history)),
    problems: history.problems,
  }
}
