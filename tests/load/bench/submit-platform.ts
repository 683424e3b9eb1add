import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Job, Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ClientOf, Transport } from '@serverless-ai/kernel'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { requestId } from '../../support/digits.ts'
import { until } from '../../support/until.ts'
import { BenchFleet } from './fleet.ts'
import { type Ground, TENANT } from './grounds.ts'

/** Client of a tenant. */
export type Jobs = ClientOf<typeof JobServiceService>

interface Tokens {
  readonly admin: string
  readonly tenants: Readonly<Record<string, string>>
  readonly nodes: Readonly<Record<string, string>>
}

const readTokens = (dataDir: string): Tokens =>
  JSON.parse(readFileSync(join(dataDir, 'tokens.json'), 'utf8'))

/** A control plane with agents that start nothing. */
export class BenchPlatform {
  readonly ground: Ground
  readonly #transports: Transport[] = []
  readonly #tokens: Tokens
  /** Emulated devices of each agent. */
  readonly #devices: number
  #fleet: BenchFleet | undefined
  /** Ids of all jobs that were acknowledged. */
  readonly acknowledged = new Set<string>()

  private constructor(ground: Ground, devices: number) {
    this.ground = ground
    this.#devices = devices
    this.#tokens = readTokens(ground.dataDir)
  }

  /** Resolves when all agents, of so many devices, are ready and the tenant has a queue. */
  static async start(open: () => Promise<Ground>, devices: number): Promise<BenchPlatform> {
    const platform = new BenchPlatform(await open(), devices)
    try {
      await platform.#prepare()
      return platform
    } catch (error) {
      await platform.stop()
      throw error
    }
  }

  #transport(): Transport {
    const transport = createGrpcTransport({ clock: systemClock })
    this.#transports.push(transport)
    return transport
  }

  async #prepare(): Promise<void> {
    const { admin, nodes: tokens } = this.#tokens
    const { ground } = this
    this.#fleet = await BenchFleet.start({
      ...{ address: ground.addressOf('pool-manager'), admin, tokens, devices: this.#devices },
    })
    const target = { address: ground.addressOf('scheduler'), token: admin }
    const queue = { name: TENANT, tenant: TENANT, weight: 1, priority: 0, maximum: undefined }
    const queues = this.#transport().client(QueueServiceService, target)
    await queues.createQueue({ requestId: '', queue })
  }

  /** A client over a connection of its own. */
  jobs(): Jobs {
    const token = this.#tokens.tenants[TENANT] ?? ''
    const target = { address: this.ground.addressOf('mediator'), token }
    return this.#transport().client(JobServiceService, target)
  }

  /** Submits one job; returns the time to its answer, ms. */
  async submit(jobs: Jobs, text: string): Promise<number> {
    const before = performance.now()
    const { job } = await jobs.submitJob({
      requestId: requestId(),
      manifest: text,
      fileName: 'bench.yaml',
      tenant: '',
      validateOnly: false,
    })
    this.acknowledged.add(job?.jobId ?? '')
    return performance.now() - before
  }

  /** Waits until every acknowledged job holds devices; throws when one does not. */
  async allAllocated(): Promise<void> {
    const jobs = this.jobs()
    await until(
      'every acknowledged job to be admitted',
      async () => {
        const all = await everyJob(jobs)
        const placed = all.filter(({ state }) => isAllocated(state))
        const holding = new Set(placed.map(({ jobId }) => jobId))
        const missing = [...this.acknowledged].filter((jobId) => !holding.has(jobId))
        if (missing.length === 0 && all.length === this.acknowledged.size) return true
        throw new Error(`${missing.length} of ${all.length} not admitted, first ${missing[0]}`)
      },
      { timeoutMs: 20_000, everyMs: 500 },
    )
  }

  async stop(): Promise<void> {
    await this.#fleet?.stop()
    await this.ground.stop()
    await Promise.all(this.#transports.map((transport) => transport.close()))
  }
}

const isAllocated = (state: Job_State): boolean =>
  state === Job_State.ADMITTED || state === Job_State.STARTING || state === Job_State.RUNNING

/** All jobs that a tenant has. */
export async function everyJob(jobs: Jobs): Promise<readonly Job[]> {
  const all: Job[] = []
  let pageToken = ''
  do {
    const request = { pageSize: 1_000, pageToken, minPosition: '', states: [], queue: '' }
    const page = await jobs.listJobs(request)
    all.push(...page.jobs)
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  return all
}
