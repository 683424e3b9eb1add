import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceName } from '@serverless-ai/hosting'
import { Dice } from '../support/random.ts'
import { Cluster } from './cluster.ts'
import { LogTail } from './log-tail.ts'
import type { History } from './operations.ts'
import { LED, REPLICAS, TENANT, underLoad, type Verdict, verdictOf } from './under-load.ts'

/** How a leader is lost. */
export type Loss = 'kill' | 'pause'

/** One change of leaders under load. */
export interface Failover {
  readonly service: ServiceName
  readonly loss: Loss
  /** From the loss to the next effective commit of the service, ms. */
  readonly ms: number
  /** From the loss until the first claim of another replica was read, ms: a part of `ms`. */
  readonly claimMs: number
  /** When it was lost, ms since the epoch. */
  readonly lostMs: number
}

/** How often leaders are lost, and under what load. */
export interface FailoversPlan {
  readonly seed: number
  readonly failovers: number
  readonly users: number
  readonly say?: (line: string) => void
}

export interface FailoversInit extends FailoversPlan {
  readonly brokers: string
  readonly replicationFactor: number
}

/** What failovers on one cluster came to. */
export interface FailoversResult extends Verdict {
  readonly failovers: readonly Failover[]
}

/** The same, with everything that users did. */
export interface FailoversSeen extends FailoversResult {
  readonly history: History
}

const TAKEOVER_TIMEOUT_MS = 60_000
const LOAD_PATIENCE_MS = 30_000
/** A paused leader comes back after this long at most: its successor has led by then. */
const PAUSED_MOST_MS = 2_000
const PAUSE_BETWEEN_MS = 500

const nowMs = (): number => performance.timeOrigin + performance.now()
/**
 * Loses leaders again and again under load that never stops, measures how long it takes until the
 * service commits again, and compares what users were answered with what the logs hold.
 */
export async function runFailovers(init: FailoversInit): Promise<FailoversResult> {
  const { brokers, replicationFactor } = init
  const cluster = await Cluster.start({
    ...{ brokers, replicationFactor, replicas: REPLICAS, tenant: TENANT },
  })
  try {
    const { history: _, ...result } = await failoversOn(cluster, init)
    return result
  } finally {
    await cluster.close()
  }
}

/** The same on a cluster of the caller, whose mediator and scheduler have two replicas each. */
export async function failoversOn(cluster: Cluster, plan: FailoversPlan): Promise<FailoversSeen> {
  const log = await cluster.openLog()
  const tail = new LogTail(log, LED)
  try {
    tail.start()
    let failovers: readonly Failover[] = []
    const { users, seed } = plan
    const load = await underLoad(
      cluster,
      { users, seed, patienceMs: LOAD_PATIENCE_MS },
      async () => {
        failovers = await loseLeaders(cluster, tail, plan)
      },
    )
    return { failovers, history: load.history, ...(await verdictOf(log, load)) }
  } finally {
    await tail.close()
    await log.close()
  }
}

async function loseLeaders(
  cluster: Cluster,
  tail: LogTail,
  { seed, failovers: count, say }: FailoversPlan,
): Promise<Failover[]> {
  const dice = new Dice(seed)
  const done: Failover[] = []
  for (const service of LED) await tail.commitAbove(service, 0, TAKEOVER_TIMEOUT_MS)
  for (let number = 1; number <= count; number += 1) {
    const service = LED[dice.between(0, LED.length - 1)]!
    const loss: Loss = number % 2 === 0 ? 'pause' : 'kill'
    await sleep(dice.float() * PAUSE_BETWEEN_MS)
    const { epoch, replica } = tail.leader(service)
    const leader = cluster.named(replica)
    const lostMs = nowMs()
    if (loss === 'kill') await leader.kill()
    else leader.pause()
    const ms = (await tail.commitAbove(service, epoch, TAKEOVER_TIMEOUT_MS)) - lostMs
    const claimMs = (tail.claimedAbove(service, epoch) ?? lostMs + ms) - lostMs
    done.push({ service, loss, ms, claimMs, lostMs })
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
