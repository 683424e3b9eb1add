import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '@serverless-ai/eventlog'
import { openMemoryLog } from '@serverless-ai/eventlog'
import { applyTopics, openKafkaLog, planTopics } from '@serverless-ai/eventlog/kafka'
import { quietPorts } from '../../support/quiet-ports.ts'
import { Dice } from '../../support/random.ts'
import { until } from '../../support/until.ts'
import { SERVICE } from './jobs-core.ts'
import { Leader } from './leader.ts'
import { PublisherFaults } from './publisher-faults.ts'
import { checkTable, hasPagesAside, markOf } from './table-checks.ts'
import { Victim } from './victim.ts'

/** One history. */
export interface ConsumersInit {
  readonly seed: number
  /** SIGKILLs of consumers. */
  readonly kills: number
  /** Public events for each of them. */
  readonly eventsPerKill: number
  /** A broker; without one the log is in memory, and the only consumer watches by gRPC. */
  readonly brokers?: string | undefined
  readonly say: (line: string) => void
}

/** What a history came to. */
export interface ConsumersResult {
  readonly breaches: readonly string[]
  readonly facts: Readonly<Record<string, unknown>>
}

/** Bootstraps have six pages with so many jobs. */
const JOBS = 3_000
const CHANGES_PER_COMMIT = 50
const STATES = ['Queued', 'Starting', 'Running', 'Recovering', 'Succeeded'] as const
/** Of 100 kills: the leader dies as well; public events expire while the consumer is down. */
const LEADER_DIES = 15
const EXPIRES = 10
/** Records that retention leaves. */
const KEPT = 40
/** Of 100 kills: it is waited for a bootstrap of the consumer, and it is killed in there. */
const IN_BOOTSTRAP = 20
/** When none begins within this it is killed anyway. */
const BOOTSTRAP_SOON_MS = 15_000
/**
 * Changes wait while the slowest consumer is more events behind: one that never catches up would
 * get nearly everything by the bootstrap after the next gap.
 */
const BEHIND_MAX = 50
/** Of 100 events so many have to come by the stream; a short history may have bad luck. */
const STREAM_MIN = 80
const STREAM_MIN_SHORT = 60
/** Kills of a long history. */
const LONG = 10
/** Nothing is concluded from how long anything takes. */
const SETTLE_MS = 300_000

/**
 * Kills consumers at random while a real service publishes, whose requests land twice, late and
 * with gaps. At the end each event is in each table exactly once, applied or as part of a
 * bootstrap.
 */
export async function runConsumers(init: ConsumersInit): Promise<ConsumersResult> {
  const history = await History.begin(init)
  try {
    return await history.run()
  } finally {
    await history.close()
  }
}

/** How the log is opened: each leader opens it anew. */
async function logOf(seed: number, brokers: string | undefined) {
  if (brokers === undefined) {
    const { store } = openMemoryLog({ ports: quietPorts })
    return { topicPrefix: '', open: async () => openMemoryLog({ ports: quietPorts, store }) }
  }
  const topicPrefix = `consumers-${seed}-${process.pid}-${Date.now().toString(36)}.`
  const connection = { brokers: brokers.split(','), topicPrefix, ports: quietPorts }
  await applyTopics(connection, planTopics({ services: [SERVICE], replication: 1 }))
  return { topicPrefix, open: () => openKafkaLog(connection) }
}

class History {
  readonly #init: ConsumersInit
  readonly #dice: Dice
  readonly #faults: PublisherFaults
  readonly #leader: Leader
  readonly #directory: string
  readonly #victims: readonly Victim[]
  #leaders = 1
  #expired = 0
  #inBootstrap = 0
  /** Kills of consumers that had applied something since they were started. */
  #inProgress = 0
  #lastCommitted = 0

  private constructor(init: {
    readonly init: ConsumersInit
    readonly faults: PublisherFaults
    readonly leader: Leader
    readonly topicPrefix: string
  }) {
    const { seed, brokers } = init.init
    this.#init = init.init
    this.#dice = new Dice(seed)
    this.#faults = init.faults
    this.#leader = init.leader
    this.#directory = mkdtempSync(join(tmpdir(), 'sai-consumers-'))
    const kafka = brokers === undefined ? undefined : { brokers, topicPrefix: init.topicPrefix }
    const victim = (name: 'kafka' | 'grpc') => {
      const table = join(this.#directory, `${name}.db`)
      const from = name === 'kafka' ? { kafka } : {}
      return new Victim({ name, table, feed: init.leader.address, ...from })
    }
    this.#victims = kafka === undefined ? [victim('grpc')] : [victim('kafka'), victim('grpc')]
  }

  static async begin(init: ConsumersInit): Promise<History> {
    const faults = new PublisherFaults(new Dice(init.seed ^ 0x5eed))
    const { topicPrefix, open } = await logOf(init.seed, init.brokers)
    const leader = new Leader(async (): Promise<EventLog> => faults.wrap(await open()))
    await leader.start()
    return new History({ init, faults, leader, topicPrefix })
  }

  async run(): Promise<ConsumersResult> {
    const { kills, eventsPerKill, say } = this.#init
    for (const victim of this.#victims) victim.start()
    await this.#changeAll()
    for (let n = 0; n < kills; n += 1) {
      const victim = this.#victims[n % this.#victims.length]!
      await Promise.all([this.#change(eventsPerKill), this.#strike(victim)])
      if (n % 10 === 9) say(`${n + 1} kills, ${this.#faults.sent.size} events`)
    }
    await this.#settle()
    const breaches = this.#faults.changed.map((seq) => `event ${seq} was published differently`)
    const tables: Record<string, unknown> = {}
    for (const { name, table } of this.#victims) {
      const found = checkTable(table, this.#faults)
      breaches.push(...found.breaches.map((breach) => `${name}: ${breach}`))
      const { streamPercent } = found.facts
      const floor = kills < LONG ? STREAM_MIN_SHORT : STREAM_MIN
      if (streamPercent < floor) {
        breaches.push(`${name}: ${streamPercent} % of the events by the stream, not ${floor}`)
      }
      tables[name] = found.facts
    }
    breaches.push(...this.#nothingTried())
    const { sent, lost, counts } = this.#faults
    const injected = { ...counts, lost: lost.size, leaders: this.#leaders, expired: this.#expired }
    const killed = { all: kills, inProgress: this.#inProgress, inBootstrap: this.#inBootstrap }
    return { breaches, facts: { events: sent.size, killed, injected, tables } }
  }

  /** A long history in which nothing went wrong would prove nothing. */
  #nothingTried(): string[] {
    const { counts } = this.#faults
    if (this.#init.kills < LONG) return []
    const { twice, late, gapped } = counts
    const tried = twice > 0 && late > 0 && gapped > 0 && this.#inProgress > 0
    return tried ? [] : ['not each kind of fault was injected, or no consumer was hit at work']
  }

  async #strike(victim: Victim): Promise<void> {
    const dice = this.#dice
    const before = markOf(victim.table)
    if (dice.between(0, 99) < IN_BOOTSTRAP) await this.#killInBootstrap(victim)
    else await victim.kill({ lines: dice.between(0, 300), afterMs: dice.between(0, 1_500) })
    if (hasPagesAside(victim.table)) this.#inBootstrap += 1
    if (markOf(victim.table) > before) this.#inProgress += 1
    if (dice.between(0, 99) < EXPIRES) {
      // More than what is left, so that it misses something.
      await this.#change(2 * KEPT, { paced: false })
      await this.#published()
      await this.#leader.expire(KEPT)
      this.#expired += 1
    }
    if (dice.between(0, 99) < LEADER_DIES) {
      await this.#leader.crash()
      await this.#leader.lead()
      this.#leaders += 1
    }
    victim.start()
  }

  async #killInBootstrap(victim: Victim): Promise<void> {
    const begun = () => (hasPagesAside(victim.table) ? true : undefined)
    const soon = { timeoutMs: BOOTSTRAP_SOON_MS, everyMs: 10 }
    await until(`${victim.name} to bootstrap`, begun, soon).catch(() => undefined)
    await victim.kill()
  }

  async #changeAll(): Promise<void> {
    for (let first = 0; first < JOBS; first += CHANGES_PER_COMMIT) {
      await this.#keptUp()
      await this.#leader.change(
        Array.from({ length: CHANGES_PER_COMMIT }, (_, i) => ({
          jobId: `j-${first + i}`,
          state: 'Queued',
        })),
      )
    }
  }

  /** The slowest consumer is near. */
  async #keptUp(): Promise<void> {
    const near = (): true | undefined => {
      const slowest = Math.min(...this.#victims.map(({ table }) => markOf(table)))
      return this.#committed() - slowest <= BEHIND_MAX ? true : undefined
    }
    await until('the consumers to keep up', near, { timeoutMs: SETTLE_MS, everyMs: 10 })
  }

  /** As far as is known: while nobody leads nobody says it. */
  #committed(): number {
    try {
      this.#lastCommitted = this.#leader.seqs().committed
    } catch {
      // The next leader knows.
    }
    return this.#lastCommitted
  }

  async #change(count: number, { paced = true } = {}): Promise<void> {
    for (let left = count; left > 0; left -= CHANGES_PER_COMMIT) {
      if (paced) await this.#keptUp()
      const jobs = Array.from({ length: Math.min(left, CHANGES_PER_COMMIT) }, () => ({
        jobId: `j-${this.#dice.between(0, JOBS - 1)}`,
        state: STATES[this.#dice.between(0, STATES.length - 1)]!,
      }))
      // While no leader is there the next one gets it; one of an unknown outcome happens or not.
      const again = async (): Promise<true | undefined> =>
        this.#leader.change(jobs).then(
          () => true,
          () => undefined,
        )
      await until('a change to be taken', again, { timeoutMs: SETTLE_MS })
    }
  }

  async #published(): Promise<number> {
    return until(
      'all events to be published',
      () => {
        const { committed, published } = this.#leader.seqs()
        return committed === published ? committed : undefined
      },
      { timeoutMs: SETTLE_MS },
    )
  }

  /** No more faults: what was lost at the end is shown by one more event. */
  async #settle(): Promise<void> {
    this.#faults.on = false
    await this.#change(1)
    const last = await this.#published()
    for (const victim of this.#victims) {
      await until(
        `${victim.name} to reach event ${last}`,
        () => (markOf(victim.table) === last ? true : undefined),
        { timeoutMs: SETTLE_MS },
      ).catch((error: unknown) => {
        const at = markOf(victim.table)
        throw new Error(`${String(error)}, it is at ${at}: ${victim.complaints}`)
      })
      const code = await victim.stop()
      if (code !== 0) throw new Error(`${victim.name} ended with ${code}: ${victim.complaints}`)
    }
  }

  async close(): Promise<void> {
    for (const victim of this.#victims) if (victim.alive) await victim.stop()
    await this.#leader.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
