import type { ServiceName } from '@serverless-ai/hosting'
import { SERVICE_NAMES } from '@serverless-ai/hosting'
import { readHistory } from '@serverless-ai/sim'
import { Dice } from '../support/random.ts'
import { type Anomaly, anomaliesOf } from './anomalies.ts'
import { appliedOf } from './applied.ts'
import { Cluster } from './cluster.ts'
import { LoadGenerator } from './load.ts'
import { LogTail, readCell } from './log-tail.ts'
import { makeQueue } from './queue.ts'

/** How a leader is lost. */
export type Loss = 'kill' | 'pause'

/** One change of leaders under load. */
export interface Failover {
  readonly service: ServiceName
  readonly loss: Loss
  /** From the loss to the next effective commit of the service, ms. */
  readonly ms: number
}

export interface FailoversInit {
  readonly brokers: string
  readonly replicationFactor: number
  readonly seed: number
  readonly failovers: number
  readonly users: number
  readonly env?: Readonly<Record<string, string>>
  readonly say?: (line: string) => void
}

/** What failovers on one cluster came to. */
export interface FailoversResult {
  readonly failovers: readonly Failover[]
  readonly operations: number
  readonly accepted: number
  readonly commits: number
  readonly leaderChanges: number
  readonly anomalies: readonly Anomaly[]
  /** Sentences about records that cannot be. */
  readonly problems: readonly string[]
}

/** Two services have two replicas: two cores decide nothing then. */
const REPLICAS = { mediator: 2, scheduler: 2 } as const
const SERVICES = ['mediator', 'scheduler'] as const
const TENANT = 'team-a'
const TAKEOVER_TIMEOUT_MS = 60_000
const LOAD_PATIENCE_MS = 30_000
/** A paused leader comes back after this long at most: its successor has led by then. */
const PAUSED_MOST_MS = 2_000
const PAUSE_BETWEEN_MS = 500

const nowMs = (): number => performance.timeOrigin + performance.now()
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/**
 * Loses leaders again and again under load that never stops, measures how long it takes until the
 * service commits again, and compares what users were answered with what the logs hold.
 */
export async function runFailovers(init: FailoversInit): Promise<FailoversResult> {
  const { brokers, replicationFactor, env } = init
  const cluster = await Cluster.start({
    ...{ brokers, replicationFactor, replicas: REPLICAS, tenant: TENANT },
    ...(env === undefined ? {} : { env }),
  })
  try {
    return await onCluster(cluster, init)
  } finally {
    await cluster.close()
  }
}

async function onCluster(cluster: Cluster, init: FailoversInit): Promise<FailoversResult> {
  const log = await cluster.openLog()
  const tail = new LogTail(log, SERVICES)
  try {
    await makeQueue(cluster, TENANT)
    const load = new LoadGenerator({
      address: cluster.addressOf('mediator'),
      token: cluster.tokens.tenants[TENANT] ?? '',
      ...{ queue: TENANT, users: init.users, seed: init.seed, pauseMs: 40 },
    })
    tail.start()
    load.start()
    const failovers = await loseLeaders(cluster, tail, init)
    await load.stop(LOAD_PATIENCE_MS)
    const history = readHistory(await readCell(log, SERVICE_NAMES))
    return {
      failovers,
      operations: load.history.length,
      accepted: load.accepted,
      commits: history.commits.length,
      leaderChanges: history.claims.length,
      anomalies: anomaliesOf(load.history, appliedOf(history)),
      problems: history.problems,
    }
  } finally {
    await tail.close()
    await log.close()
  }
}

async function loseLeaders(
  cluster: Cluster,
  tail: LogTail,
  { seed, failovers: count, say }: FailoversInit,
): Promise<Failover[]> {
  const dice = new Dice(seed)
  const done: Failover[] = []
  for (const service of SERVICES) await tail.commitAbove(service, 0, TAKEOVER_TIMEOUT_MS)
  for (let number = 1; number <= count; number += 1) {
    const service = SERVICES[dice.between(0, SERVICES.length - 1)]!
    const loss: Loss = number % 2 === 0 ? 'pause' : 'kill'
    await sleep(dice.float() * PAUSE_BETWEEN_MS)
    const { epoch, replica } = tail.leader(service)
    const leader = cluster.named(replica)
    const lostMs = nowMs()
    if (loss === 'kill') await leader.kill()
    else leader.pause()
    const ms = (await tail.commitAbove(service, epoch, TAKEOVER_TIMEOUT_MS)) - lostMs
    done.push({ service, loss, ms })
    say?.(`${number}/${count}: ${loss} of ${replica}: ${Math.round(ms)} ms`)
    if (loss === 'kill') {
      leader.start()
    } else {
      await sleep(dice.float() * PAUSED_MOST_MS)
      leader.resume()
    }
    await leader.ready()
  }
  return done
}
