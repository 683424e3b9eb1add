/** How a user reaches the platform: as clients do, and sometimes one replica on purpose. */
import { connect, type PlatformClient } from '@serverless-ai/client'
import { type Job, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { Queue, QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type ClientOf, uuidV7 } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { followLeader } from '@serverless-ai/rpc'
import type { ProcessContext } from '../../world/types.ts'
import type { QueuePlan } from './plans.ts'

/** Attempts that go to one replica, whatever it is. */
const DIRECT_SHARE = 0.25
/** Deadlines of attempts, ms: some too short for a busy day. */
const DEADLINES_MS = [300, 2_000, 10_000, 30_000] as const
const READ_TIMEOUT_MS = 5_000

/** An answer of the mediator to a submission or a cancellation. */
export interface Accepted {
  readonly jobId: string
  readonly position: string
}

/** What calls stand on. */
export interface CallsInit {
  readonly context: ProcessContext
  readonly random: SeededRandomness
  readonly token: string
  /** Addresses of all replicas of the service that is called. */
  readonly address: string
}

/** Calls of one process of a user. */
export class UserCalls {
  readonly #init: CallsInit
  readonly #replicas: readonly string[]
  readonly #client: PlatformClient
  readonly #jobs: ClientOf<typeof JobServiceService>
  readonly #queues: ClientOf<typeof QueueServiceService>

  constructor(init: CallsInit) {
    const { context, token, address } = init
    const { clock, timers, randomness } = context.ports
    const ports = { clock, timers, randomness }
    this.#init = init
    this.#replicas = address.split(',')
    this.#client = connect({ ...ports, address, token, transport: context.transport })
    const following = followLeader(context.transport, ports)
    this.#jobs = following.client(JobServiceService, { address, token })
    this.#queues = following.client(QueueServiceService, { address, token })
  }

  /** A new request id. */
  newRequestId(): string {
    return uuidV7(this.#init.context.ports.clock.wallMs(), this.#init.random.bytes(10))
  }

  /** The jobs' service of one replica. */
  #direct(): ClientOf<typeof JobServiceService> {
    const { context, random, token } = this.#init
    const address = random.pick(this.#replicas)
    return context.transport.client(JobServiceService, { address, token })
  }

  /** One attempt to submit. */
  async submit(requestId: string, manifest: string): Promise<Accepted> {
    const { random } = this.#init
    const timeoutMs = random.pick(DEADLINES_MS)
    if (!random.chance(DIRECT_SHARE)) {
      const { job, position } = await this.#client.jobs.submit({ requestId, manifest, timeoutMs })
      return { jobId: job.jobId, position }
    }
    const request = { requestId, manifest, fileName: '', tenant: '', validateOnly: false }
    const { job, position } = await this.#direct().submitJob(request, { timeoutMs })
    return { jobId: job?.jobId ?? '', position }
  }

  /** One attempt to cancel. */
  async cancel(requestId: string, jobId: string): Promise<Accepted> {
    const { random } = this.#init
    const timeoutMs = random.pick(DEADLINES_MS)
    const jobs = random.chance(DIRECT_SHARE) ? this.#direct() : this.#jobs
    const { position } = await jobs.cancelJob({ requestId, jobId }, { timeoutMs })
    return { jobId, position }
  }

  /** One attempt to scale. */
  async scale(requestId: string, jobId: string, wanted: number | 'auto'): Promise<void> {
    const { random } = this.#init
    const timeoutMs = random.pick(DEADLINES_MS)
    const jobs = random.chance(DIRECT_SHARE) ? this.#direct() : this.#jobs
    const automatic = wanted === 'auto'
    const request = { requestId, jobId, wanted: automatic ? 0 : wanted, automatic }
    await jobs.scaleJob(request, { timeoutMs })
  }

  /** One attempt to update a service; an empty description = back to the first one. */
  async update(requestId: string, jobId: string, manifest: string): Promise<void> {
    const { random } = this.#init
    const timeoutMs = random.pick(DEADLINES_MS)
    const jobs = random.chance(DIRECT_SHARE) ? this.#direct() : this.#jobs
    const toRevision = manifest === '' ? 1 : 0
    await jobs.updateService(
      { requestId, jobId, manifest, fileName: '', toRevision },
      { timeoutMs },
    )
  }

  /** One attempt to read a job at any replica. */
  async read(jobId: string, minPosition: string): Promise<Job | undefined> {
    const request = { jobId, minPosition }
    const { job } = await this.#direct().getJob(request, { timeoutMs: READ_TIMEOUT_MS })
    return job
  }

  /** The job as it is, then each change, until it is finished or nobody answers for long. */
  watch(jobId: string): AsyncIterable<Job> {
    return this.#client.jobs.watch(jobId)
  }

  /** One attempt to make a queue; the position of its commit. */
  async createQueue(requestId: string, plan: QueuePlan): Promise<string> {
    const { name, tenant, weight, maxDevices } = plan
    const maximum = { devices: maxDevices, cpuMillis: 0n, memoryMib: 0n }
    const queue = Queue.fromPartial({ name, tenant, weight, maximum })
    const request = { requestId, queue }
    const timeoutMs = this.#init.random.pick(DEADLINES_MS)
    return (await this.#queues.createQueue(request, { timeoutMs })).position
  }
}
