import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@serverless-ai/eventlog'
import { brokerJars } from '../support/kafka-broker.ts'
import { type BrokerCluster, startCluster } from '../support/kafka-cluster.ts'
import { networkPermitted } from '../support/kafka-network.ts'
import { Dice } from '../support/random.ts'
import { until } from '../support/until.ts'
import { Cluster, type Replica } from './cluster.ts'
import type { LoadGenerator } from './load.ts'
import { LogTail } from './log-tail.ts'
import { LED, REPLICAS, TENANT, underLoad, type Verdict, verdictOf } from './under-load.ts'

/** Faults of a real cluster, each with what it hits. */
const FAULTS = {
  'replica-kill': 'replica',
  'leader-kill': 'leader',
  'replica-pause': 'replica',
  'leader-pause': 'leader',
  'replica-restart': 'replica',
  'replica-cut': 'replica',
  'leader-cut': 'leader',
  'broker-kill': 'broker',
  'broker-pause': 'broker',
  'broker-restart': 'broker',
  'broker-cut': 'broker',
  /** From the other brokers alone: it takes itself for a leader, and clients reach it. */
  'broker-peers-cut': 'broker',
} as const
export type BrokerFault = keyof typeof FAULTS

export interface RandomFaultsInit {
  /** 1 or 3. */
  readonly brokers: number
  readonly seed: number
  readonly minutes: number
  readonly users: number
  /** More environment for the services, to switch a protection off by a wrapper of the tests. */
  readonly env?: Readonly<Record<string, string>>
  readonly say?: (line: string) => void
}

/** What a stretch of random faults came to. */
export interface RandomFaultsResult extends Verdict {
  readonly seconds: number
  readonly faults: Readonly<Record<string, number>>
}

const LONGEST_MS = 8_000
const BETWEEN_MS = 1_500
/** After a fault has ended, users get answers again within this. */
const RECOVERY_TIMEOUT_MS = 90_000

/**
 * Users that never stop, on a cluster whose brokers and services fail one after the other; then a
 * comparison of what they were answered with what the logs hold.
 */
export async function runRandomFaults(init: RandomFaultsInit): Promise<RandomFaultsResult> {
  const network = await networkPermitted()
  if (!network) {
    const why = 'network namespaces are not permitted here: nothing can be cut off'
    if (process.env['CI']) throw new Error(why)
    init.say?.(`left out: ${why}`)
  }
  const jars = await brokerJars()
  const kafka = await startCluster({ jars, brokers: init.brokers, network, heapMib: 320 })
  try {
    const cluster = await Cluster.start({
      brokers: kafka.connection.brokers.join(','),
      replicationFactor: init.brokers,
      ...{ replicas: REPLICAS, tenant: TENANT },
      ...(kafka.network === undefined ? {} : { network: kafka.network }),
      ...(init.env === undefined ? {} : { env: init.env }),
    })
    const log = await cluster.openLog()
    try {
      return await new Run({ kafka, cluster, log }, init).run()
    } finally {
      await log.close()
      await cluster.close()
    }
  } finally {
    await kafka.stop()
  }
}

class Run {
  readonly #kafka: BrokerCluster
  readonly #cluster: Cluster
  readonly #init: RandomFaultsInit
  readonly #dice: Dice
  readonly #log: EventLog
  readonly #tail: LogTail
  readonly #counts: Partial<Record<BrokerFault, number>> = {}

  constructor(
    on: { kafka: BrokerCluster; cluster: Cluster; log: EventLog },
    init: RandomFaultsInit,
  ) {
    this.#kafka = on.kafka
    this.#cluster = on.cluster
    this.#log = on.log
    this.#tail = new LogTail(on.log, LED)
    this.#init = init
    this.#dice = new Dice(init.seed)
  }

  async run(): Promise<RandomFaultsResult> {
    const { users, seed } = this.#init
    const startMs = performance.now()
    const options = { users, seed, patienceMs: RECOVERY_TIMEOUT_MS }
    const load = await underLoad(this.#cluster, options, (asking) => this.#faults(asking))
    for (const replica of this.#cluster.replicas) await replica.ready(RECOVERY_TIMEOUT_MS)
    const verdict = await verdictOf(this.#log, load)
    const seconds = Math.round((performance.now() - startMs) / 1_000)
    return { seconds, faults: this.#counts, ...verdict }
  }

  /** Faults, one after the other, for as long as it was asked. */
  async #faults(load: LoadGenerator): Promise<void> {
    const endMs = performance.now() + this.#init.minutes * 60_000
    this.#tail.start()
    try {
      while (performance.now() < endMs) {
        await this.#strike()
        await this.#recovered(load)
        await sleep(this.#dice.float() * BETWEEN_MS)
      }
    } finally {
      await this.#tail.close()
    }
  }

  async #recovered(load: LoadGenerator): Promise<void> {
    const before = load.accepted
    const users = `users to be answered again; repeated ${JSON.stringify([...load.repeated])}`
    await until(users, () => (load.accepted > before ? true : undefined), {
      timeoutMs: RECOVERY_TIMEOUT_MS,
    })
  }

  async #strike(): Promise<void> {
    const fault = this.#draw()
    const forMs = Math.round(200 + this.#dice.float() * LONGEST_MS)
    this.#counts[fault] = (this.#counts[fault] ?? 0) + 1
    const { nodes } = this.#kafka
    const replica = this.#victim(FAULTS[fault] === 'leader')
    const node = nodes[this.#dice.between(0, nodes.length - 1)]!
    const victim = FAULTS[fault] === 'broker' ? `kafka-${node.id}` : replica.name
    this.#init.say?.(`${fault} ${victim}, ${forMs} ms`)
    switch (fault) {
      case 'replica-kill':
      case 'leader-kill':
      case 'replica-restart':
        await (fault === 'replica-restart' ? replica.stop() : replica.kill())
        await sleep(forMs / 4)
        replica.start()
        return replica.ready(RECOVERY_TIMEOUT_MS)
      case 'replica-pause':
      case 'leader-pause':
        replica.pause()
        await sleep(forMs)
        replica.resume()
        return
      case 'replica-cut':
      case 'leader-cut':
        await replica.cutOff()
        await sleep(forMs)
        return replica.reconnect()
      case 'broker-kill':
      case 'broker-restart':
        await (fault === 'broker-kill' ? node.kill() : node.stop())
        await sleep(forMs / 4)
        node.start()
        return this.#whole()
      case 'broker-pause':
        node.pause()
        await sleep(forMs)
        node.resume()
        return this.#whole()
      case 'broker-cut':
      case 'broker-peers-cut':
        if (fault === 'broker-cut') await node.cutOff()
        else await node.cutFrom(nodes.filter((one) => one !== node).map(({ host }) => host))
        await sleep(forMs)
        await node.reconnect()
        return this.#whole()
    }
  }

  /** Any replica, or one that leads and has a successor. */
  #victim(leader: boolean): Replica {
    const { replicas } = this.#cluster
    const any = replicas[this.#dice.between(0, replicas.length - 1)]!
    const service = LED[this.#dice.between(0, LED.length - 1)]!
    const { replica } = this.#tail.leader(service)
    return leader && replica !== '' ? this.#cluster.named(replica) : any
  }

  #draw(): BrokerFault {
    const cable = this.#kafka.network !== undefined
    const alone = this.#kafka.nodes.length === 1
    const kinds = (Object.keys(FAULTS) as readonly BrokerFault[])
      .filter((kind) => cable || !kind.endsWith('-cut'))
      .filter((kind) => !alone || kind !== 'broker-peers-cut')
    return kinds[this.#dice.between(0, kinds.length - 1)]!
  }

  /** Another broker may fail when all copies are whole again: two at once are one too many. */
  #whole(): Promise<void> {
    return this.#kafka.whole(this.#cluster.topicOf('mediator'), 0)
  }
}
