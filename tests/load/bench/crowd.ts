import { setTimeout as pause } from 'node:timers/promises'
import { JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcTransport, followLeader } from '@serverless-ai/rpc'
import type { Cluster } from '../../history/cluster.ts'
import { makeQueue, TENANT } from '../../history/under-load.ts'
import { requestId } from '../../support/digits.ts'
import { benchManifest } from './manifest.ts'
import { everyJob, type Jobs } from './submit-platform.ts'

/** Tasks of a job. */
export const TASKS_PER_JOB = 100
/** Queues that the jobs are spread over. */
export const QUEUES = 100
const CONNECTIONS = 64
const CALL_TIMEOUT_MS = 2_000
const AGAIN_MS = 20

const queueName = (index: number): string => `crowd-${(index % QUEUES) + 1}`
/** A tenant with very many jobs, who follows the leader. */
export class Crowd {
  readonly #cluster: Cluster
  readonly #below = Array.from({ length: CONNECTIONS }, () =>
    createGrpcTransport({ clock: systemClock }),
  )
  readonly #lanes: readonly Jobs[]
  readonly #jobs = new Set<string>()
  #submitted = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    const ports = { clock: systemClock, timers: systemTimers, randomness: systemRandomness }
    const target = {
      address: cluster.addressOf('mediator'),
      token: cluster.tokens.tenants[TENANT] ?? '',
    }
    this.#lanes = this.#below.map((transport) =>
      followLeader(transport, ports).client(JobServiceService, target),
    )
  }

  /** Tasks of the jobs that were acknowledged. */
  get tasks(): number {
    return this.#jobs.size * TASKS_PER_JOB
  }

  /** Makes the queues and submits so many tasks. */
  async fill(tasks: number): Promise<void> {
    for (let index = 0; index < QUEUES; index += 1) {
      await makeQueue(this.#cluster, TENANT, queueName(index))
    }
    let left = Math.ceil(tasks / TASKS_PER_JOB)
    await Promise.all(
      this.#lanes.map(async (jobs) => {
        while (left > 0) {
          left -= 1
          await this.#submit(jobs, TASKS_PER_JOB)
        }
      }),
    )
  }

  async #submit(jobs: Jobs, tasks: number, timeoutMs?: number): Promise<void> {
    this.#submitted += 1
    const number = this.#submitted
    const manifest = benchManifest({ queue: queueName(number), tasks, number })
    const request = {
      ...{ requestId: requestId(), manifest, fileName: 'bench.yaml' },
      ...{ tenant: '', validateOnly: false },
    }
    for (;;) {
      try {
        const options = timeoutMs === undefined ? {} : { timeoutMs }
        const { job } = await jobs.submitJob(request, options)
        this.#jobs.add(job?.jobId ?? '')
        return
      } catch (error) {
        if (timeoutMs === undefined) throw error
        await pause(AGAIN_MS)
      }
    }
  }

  /** One more job, asked for again and again until the control plane has decided on it. */
  async decision(): Promise<void> {
    await this.#submit(this.#lanes[0]!, TASKS_PER_JOB, CALL_TIMEOUT_MS)
  }

  /** Throws when a job that was acknowledged is not listed. */
  async allThere(): Promise<void> {
    const listed = new Set((await everyJob(this.#lanes[0]!)).map(({ jobId }) => jobId))
    const missing = [...this.#jobs].filter((jobId) => !listed.has(jobId))
    if (missing.length > 0) throw new Error(`${missing.length} jobs are gone, first ${missing[0]}`)
  }

  async close(): Promise<void> {
    await Promise.all(this.#below.map((transport) => transport.close()))
  }
}
