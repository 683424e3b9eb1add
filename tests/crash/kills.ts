import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareQueue } from '../e2e/node-faults.ts'
import { withLog } from '../support/closed-log.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { ROOT } from '../support/root.ts'
import { until } from '../support/until.ts'
import { expirePublicEvents, fold, publicBreaches, type Service } from './history.ts'
import { type CrashOrder, lastWords, ORDER_VARIABLE, orderText, STALL_VARIABLE } from './moments.ts'
import { type Kill, nameOfKill } from './plan.ts'
import { Recorder } from './recorder.ts'

const MAIN = join(ROOT, 'tests/dist/crash/crash-main.js')
/** Every ordered moment comes about within this, or something is wrong. */
const MOMENT_TIMEOUT_MS = 60_000
/**
 * Public events of the stalled run: more than the publisher lets pass without recording how far it
 * is, and more than two bootstrap pages.
 */
const MANY_QUEUES = 1_100

export interface KillsOptions {
  readonly kills: readonly Kill[]
  /** Jobs kept under way. */
  readonly jobs: number
  /** How long a task takes, s. */
  readonly taskSeconds: number
  readonly say?: (line: string) => void
}

/** What a campaign of kills came to. */
export interface KillsResult {
  readonly kills: readonly string[]
  readonly acknowledged: number
  readonly repeatedRequests: number
  /** Acknowledged jobs under way at each kill. */
  readonly runningAtKills: readonly number[]
  readonly folded: Readonly<Record<string, { readonly position: number; readonly digest: string }>>
  readonly breaches: readonly string[]
}

/** True when nothing that is committed is unpublished; undefined before. */
async function allPublished(admin: Clients['admin']): Promise<true | undefined> {
  const { partitions } = await admin.getStatus({ withDigest: false })
  return partitions.every((one) => one.publishedSeq === one.publicSeq) ? true : undefined
}

/** True when no effect is open; undefined before. */
async function allSettled(admin: Clients['admin']): Promise<true | undefined> {
  const { partitions } = await admin.getStatus({ withDigest: false })
  return partitions.every((one) => one.unsettledEffects === 0) ? true : undefined
}

/** A campaign of kills on one platform. */
class Campaign {
  readonly breaches: string[] = []
  readonly runningAtKills: number[] = []
  readonly #options: KillsOptions
  readonly #platform: Platform
  readonly #recorder: Recorder

  constructor(options: KillsOptions, platform: Platform, recorder: Recorder) {
    this.#options = options
    this.#platform = platform
    this.#recorder = recorder
  }

  async run(): Promise<KillsResult> {
    const { kills, jobs } = this.#options
    this.#recorder.start(jobs)
    await this.#untilBusy()
    await this.#platform.kill()
    for (const [index, kill] of kills.entries()) {
      this.#say(`${index + 1}/${kills.length}: ${nameOfKill(kill)}`)
      if (kill.at === 'random') await this.#killAtRandom(kill.afterMs)
      else await this.#killAtMoment(kill)
    }
    this.#platform.spawn()
    await this.#platform.ready(60_000)
    this.#say(
      `${this.#recorder.acknowledged.length} jobs, ${this.#recorder.running} still under way`,
    )
    await this.#recorder.finish(180_000)
    const folded = await this.#check()
    return {
      kills: kills.map(nameOfKill),
      acknowledged: this.#recorder.acknowledged.length,
      repeatedRequests: this.#recorder.repeated,
      runningAtKills: this.runningAtKills,
      folded,
      breaches: [...this.breaches, ...this.#recorder.breaches],
    }
  }

  #say(line: string): void {
    this.#options.say?.(line)
  }

  async #untilBusy(): Promise<void> {
    const { jobs: wanted } = this.#options
    await until(
      `${wanted} acknowledged jobs under way`,
      () => (this.#recorder.running >= wanted ? true : undefined),
      { timeoutMs: 60_000 },
    )
  }

  async #killAtRandom(afterMs: number): Promise<void> {
    this.#platform.spawn()
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    this.runningAtKills.push(this.#recorder.running)
    await this.#platform.kill()
  }

  async #killAtMoment(order: CrashOrder): Promise<void> {
    if (order.moment === 'mid-bootstrap-page') await this.#makeGap()
    const seen = this.#platform.output.length
    this.#platform.output = ''
    this.#platform.spawn({ [ORDER_VARIABLE]: orderText(order) })
    try {
      await this.#platform.exited(MOMENT_TIMEOUT_MS)
    } catch {
      this.breaches.push(
        `${orderText(order)} did not come about; output before: ${seen} characters`,
      )
      await this.#platform.kill()
      return
    }
    this.runningAtKills.push(this.#recorder.running)
    const { signalCode } = this.#platform.child ?? {}
    if (signalCode !== 'SIGKILL' || !this.#platform.output.includes(lastWords(order))) {
      this.breaches.push(
        `${orderText(order)}: ended with ${signalCode} instead:\n${this.#lastOutput()}`,
      )
    }
  }

  #lastOutput(): string {
    return this.#platform.output.slice(-2_000)
  }

  /**
   * A run in which no consumer gets the scheduler's events, after which they expire: their marks
   * point before the topic's start.
   */
  async #makeGap(): Promise<void> {
    this.#platform.spawn({ [STALL_VARIABLE]: 'scheduler' })
    await this.#platform.ready(60_000)
    const { queues, admin } = await this.#reachable()
    const stamp = Date.now().toString(36)
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < MANY_QUEUES) {
        const name = `q-${stamp}-${next++}`
        await queues.createQueue({
          requestId: '',
          queue: { name, tenant: 'team-a', weight: 1, priority: 0, maximum: undefined },
        })
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
    await until('public events to be out', () => allPublished(admin), { timeoutMs: 30_000 })
    await this.#platform.kill()
    const expired = await expirePublicEvents(this.#platform.dataDir, 'scheduler')
    if (expired < 500) this.breaches.push(`only ${expired} public events expired: no gap`)
  }

  /** Clients whose channel has noticed that the control plane is there again. */
  async #reachable(): Promise<Clients> {
    const clients = this.#platform.as('admin')
    const ask = async () => clients.admin.getStatus({ withDigest: false })
    await until('the control plane to be reachable', ask, { timeoutMs: 30_000 })
    return clients
  }

  async #check(): Promise<KillsResult['folded']> {
    const { admin } = await this.#reachable()
    this.breaches.push(
      ...(await this.#recorder.repeatAll()),
      ...(await this.#recorder.endBreaches()),
      ...this.#recorder.startBreaches(),
    )
    await until('public events to be out', () => allPublished(admin), { timeoutMs: 30_000 })
    await until('effects to be settled', () => allSettled(admin), { timeoutMs: 30_000 }).catch(
      () => undefined, // Told below, with the service's name.
    )
    const { partitions } = await admin.getStatus({ withDigest: true })
    // Not a graceful end: its snapshots would take the place of those at and below these positions.
    await this.#platform.kill()
    const folded: Record<string, { position: number; digest: string }> = {}
    const { dataDir } = this.#platform
    await withLog(dataDir, async (log) => {
      for (const partition of partitions) {
        const { service: name, position, digest, publicSeq, alarm } = partition
        const { parkedInputs, unsettledEffects } = partition
        const service = name as Service
        const last = Number(position)
        if (alarm !== '') this.breaches.push(`${service}: ${alarm}`)
        if (parkedInputs > 0) this.breaches.push(`${service}: ${parkedInputs} inputs are parked`)
        if (unsettledEffects > 0) {
          this.breaches.push(`${service}: ${unsettledEffects} effects were never settled`)
        }
        const full = await fold(log, { dataDir, service, last, from: 'start' })
        const tail = await fold(log, { dataDir, service, last, from: 'snapshot' })
        folded[service] = { position: last, digest: full.digest }
        if (tail.snapshot === '') this.breaches.push(`${service}: there is no snapshot`)
        if (full.digest !== digest || tail.digest !== digest) {
          this.breaches.push(
            `${service} at ${last}: served ${digest}, full fold ${full.digest}, ` +
              `snapshot ${tail.snapshot} and tail ${tail.digest}`,
          )
        }
        const seq = Number(publicSeq)
        this.breaches.push(...(await publicBreaches(log, { service, publicSeq: seq })))
      }
    })
    return folded
  }
}

/**
 * Kills the control plane again and again while jobs run, and checks what must hold. Breaches are
 * in the result.
 */
export async function runKills(options: KillsOptions): Promise<KillsResult> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-kills-'))
  chmodSync(directory, 0o755)
  const platform = await Platform.start({ leaseMs: 15_000, nodes: 3, main: MAIN })
  try {
    await prepareQueue(platform)
    const clients = platform.as('team-a')
    const recorder = new Recorder({
      clients: () => clients,
      startFile: join(directory, 'starts.txt'),
      seconds: options.taskSeconds,
    })
    try {
      return await new Campaign(options, platform, recorder).run()
    } finally {
      recorder.abandon()
    }
  } finally {
    await platform.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
