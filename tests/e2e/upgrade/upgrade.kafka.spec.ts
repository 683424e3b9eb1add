// A rolling upgrade between two builds, its roll-back and its end, under load that never stops.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodeRecord, type EventLog, logTopic } from '@serverless-ai/eventlog'
import { kafkaCluster } from '@serverless-ai/eventlog/testing/kafka'
import { FEATURE_LEVEL } from '@serverless-ai/runtime'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Cluster, type Replica } from '../../history/cluster.ts'
import { LoadGenerator } from '../../history/load.ts'
import { makeQueue, TENANT, verdictOf } from '../../history/under-load.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { type Build, copyBuild, NEW_EVENT, NEXT_LEVEL, patchBuild } from './builds.ts'

const USERS = 3
const run = promisify(execFile)
const kafka = kafkaCluster()

/** What `sai` said. */
interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** An event, or a raise, as it stands in a log. */
interface Seen {
  readonly position: number
  readonly type: string
}

async function everything(log: EventLog, service: string): Promise<readonly Seen[]> {
  const address = { topic: logTopic(service), partition: 0 }
  const seen: Seen[] = []
  for (let from = 0; ; ) {
    const { records } = await log.fetch(address, { from, maxBytes: 4_194_304, waitMs: 0 })
    if (records.length === 0) return seen
    for (const { position, value } of records) {
      from = position + 1
      const { body } = decodeRecord(value)
      if (body?.$case !== 'commit') continue
      const { events, runtime } = body.value
      for (const { type } of [...events, ...runtime]) seen.push({ position, type })
    }
  }
}

class Upgrade {
  readonly directory = mkdtempSync(join(tmpdir(), 'sai-builds-'))
  readonly builds: Readonly<Record<Build['name'], Build>>
  /** Build of the next process that is started. */
  #next: Build
  #cluster: Cluster | undefined
  #load: LoadGenerator | undefined

  constructor() {
    const build = (name: Build['name']) => copyBuild(name, join(this.directory, name))
    this.builds = { this: build('this'), next: build('next') }
    patchBuild(this.builds.next)
    this.#next = this.builds.this
  }

  async start(brokers: readonly string[]): Promise<void> {
    this.#cluster = await Cluster.start({
      ...{ brokers: brokers.join(','), replicationFactor: 1, tenant: TENANT },
      replicas: { mediator: 2, scheduler: 2 },
      mainOf: (service) => this.#next.mainOf(service),
    })
    await makeQueue(this.cluster, TENANT)
    this.#load = new LoadGenerator({
      address: this.cluster.addressOf('mediator'),
      token: this.cluster.tokens.tenants[TENANT] ?? '',
      ...{ queue: TENANT, users: USERS, seed: 7, pauseMs: 100 },
    })
    this.#load.start()
  }

  get cluster(): Cluster {
    if (this.#cluster === undefined) throw new Error('the cluster is not started')
    return this.#cluster
  }

  get load(): LoadGenerator {
    if (this.#load === undefined) throw new Error('there is no load')
    return this.#load
  }

  /** One replica after the other is ended in order and started as another build. */
  async roll(name: Build['name'], replicas: readonly Replica[] = this.cluster.replicas) {
    for (const replica of replicas) {
      await this.restart(replica, name)
      await this.goesOn()
    }
  }

  async restart(replica: Replica, name: Build['name']): Promise<void> {
    await replica.stop()
    this.#next = this.builds[name]
    replica.start()
    await replica.ready()
  }

  /** The load is carried out, still. */
  async goesOn(): Promise<void> {
    const before = this.load.accepted
    const more = () => (this.load.accepted >= before + USERS ? true : undefined)
    await until('more commands to be accepted', more, { timeoutMs: 120_000 })
  }

  async sai(...argv: readonly string[]): Promise<Said> {
    const address = this.cluster.replicas.map((replica) => replica.address).join(',')
    const options = ['--address', address, '--token', this.cluster.tokens.admin]
    const main = join(ROOT, 'apps/cli/dist/main.js')
    try {
      const all = [main, ...argv, ...options]
      const { stdout: out, stderr: err } = await run(process.execPath, all)
      return { status: 0, out, err }
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string }
      return { status: code ?? 1, out: stdout ?? '', err: stderr ?? '' }
    }
  }

  /** Each replica says so of its service: the level in force, and the one that its build knows. */
  async allAt(levels: { readonly featureLevel: number; readonly knownFeatureLevel: number }) {
    const shown = await this.sai('admin', 'level', 'show', '--json')
    expect(shown.status, shown.err).toBe(0)
    const { partitions } = JSON.parse(shown.out)
    expect(partitions).toHaveLength(this.cluster.replicas.length)
    for (const one of partitions) expect(one).toMatchObject(levels)
  }

  async close(): Promise<void> {
    await this.#load?.stop(1000)
    await this.#cluster?.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

let upgrade: Upgrade

beforeAll(async () => {
  if (kafka === undefined) return
  upgrade = new Upgrade()
  await upgrade.start(kafka.brokers)
}, 240_000)
afterAll(() => upgrade?.close(), 60_000)

it.runIf(kafka)(
  'versions roll forward and back until the level is raised, and nothing is lost',
  async () => {
    const { cluster, load } = upgrade
    const log = await cluster.openLog()
    try {
      await upgrade.goesOn()
      await upgrade.roll('next')
      await upgrade.allAt({ featureLevel: FEATURE_LEVEL, knownFeatureLevel: NEXT_LEVEL })
      // Before the raise every service goes back, also one of which there is one replica alone.
      await upgrade.roll('this')
      await upgrade.allAt({ featureLevel: FEATURE_LEVEL, knownFeatureLevel: FEATURE_LEVEL })
      // All of the way but one: the mediator has a replica that does not know the level.
      const [first] = cluster.of('mediator')
      await upgrade.roll(
        'next',
        cluster.replicas.filter((one) => one !== first),
      )
      const early = await upgrade.sai('admin', 'level', 'raise', String(NEXT_LEVEL))
      expect(early.status, early.err).toBe(3)
      expect(early.err).toMatch(/FEATURE_LEVEL_UNKNOWN|REPLICAS_NOT_READY/)
      await upgrade.roll('next', [first!])
      expect((await everything(log, 'mediator')).map(({ type }) => type)).not.toContain(NEW_EVENT)

      const raised = await upgrade.sai('admin', 'level', 'raise', String(NEXT_LEVEL))
      expect(raised.status, raised.err).toBe(0)
      expect(raised.out).toContain(`mediator is at feature level ${NEXT_LEVEL} (mediator-1 knows`)
      await upgrade.goesOn()
      await upgrade.allAt({ featureLevel: NEXT_LEVEL, knownFeatureLevel: NEXT_LEVEL })

      // A roll-back comes too late now: the old build does not lead, and says why.
      await first!.stop()
      const old = upgrade.restart(first!, 'this')
      await expect(old).rejects.toThrow(
        new RegExp(`FEATURE_LEVEL_TOO_LOW: mediator: feature level ${NEXT_LEVEL} .*does not lead`),
      )
      await upgrade.goesOn()
      await upgrade.restart(first!, 'next')
      await upgrade.goesOn()

      await load.stop(120_000)
      const { problems, anomalies } = await verdictOf(log, load)
      expect(problems).toEqual([])
      expect(anomalies).toEqual([])
      expect(
        load.history.filter((one) => one.kind !== 'read' && one.outcome !== 'accepted'),
      ).toEqual([])
      const seen = await everything(log, 'mediator')
      const raise = seen.find(({ type }) => type === 'FeatureLevelRaised')
      const events = seen.filter(({ type }) => type === NEW_EVENT)
      expect(events.length).toBeGreaterThan(USERS)
      expect(events.every(({ position }) => position > raise!.position)).toBe(true)
      console.log(
        `${load.accepted} commands accepted, made again: ${JSON.stringify([...load.repeated])}`,
      )
    } finally {
      await log.close()
    }
  },
  1_200_000,
)
