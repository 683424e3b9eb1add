import { createHash } from 'node:crypto'
import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import {
  type ExplainJobResponse,
  type Job,
  type Job_State,
  JobServiceService,
  type ListJobsResponse,
  type ScaleJobResponse,
  type UploadWorkspaceRequest,
  WorkspaceServiceService,
} from '@serverless-ai/contracts/job/v1/job'
import {
  type Objective,
  ObjectiveServiceService,
} from '@serverless-ai/contracts/objective/v1/objective'
import { PoolServiceService, type ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { ProfileServiceService } from '@serverless-ai/contracts/profile/v1/profile'
import {
  CheckpointServiceService,
  RecoveryServiceService,
} from '@serverless-ai/contracts/recovery/v1/recovery'
import {
  type Mode,
  ScalingServiceService,
  type SetModeResponse,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import { Queue, QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  type ClientOf,
  type Clock,
  type Randomness,
  type Timers,
  type Transport,
  uuidV7,
} from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import {
  createGrpcTransport,
  DEFAULT_RETRY,
  followLeader,
  type RetryPolicy,
  type TlsSource,
} from '@serverless-ai/rpc'
import { type WatchPatience, watchJob } from './watch.ts'

/** Where to connect, and what the client stands on (the defaults are right outside of tests). */
export interface ConnectOptions {
  /** gRPC `host:port` of the platform, or several of them with commas between: its replicas. */
  readonly address: string
  /** Bearer token. */
  readonly token?: string
  /** TLS (`clientTls`, `openTlsFiles` of libs/rpc). Default: none. */
  readonly tls?: TlsSource
  /** How calls are made again while nobody answers or leads. */
  readonly retry?: Partial<RetryPolicy>
  readonly clock?: Clock
  readonly timers?: Timers
  readonly randomness?: Randomness
  /** Default: gRPC, closed with the client. */
  readonly transport?: Transport
}

/** Piece of an upload, bytes. */
const PIECE_BYTES = 256 * 1024
const UPLOAD_TIMEOUT_MS = 120_000

interface Ports {
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly policy: RetryPolicy
}

const newRequestId = ({ clock, randomness }: Ports): string =>
  uuidV7(clock.wallMs(), randomness.bytes(10))

/** Jobs, with request ids, retries and resumed watches. Failures are `RpcError`. */
export class JobsClient {
  readonly #calls: ClientOf<typeof JobServiceService>
  readonly #pool: ClientOf<typeof PoolServiceService>
  readonly #ports: Ports

  constructor(init: {
    calls: ClientOf<typeof JobServiceService>
    pool: ClientOf<typeof PoolServiceService>
    ports: Ports
  }) {
    this.#calls = init.calls
    this.#pool = init.pool
    this.#ports = init.ports
  }

  /** Submits a description (YAML or JSON). One request id for all attempts: the job exists once. */
  async submit(init: {
    readonly manifest: string
    /** For error messages. */
    readonly fileName?: string
    /** Only for operators. */
    readonly tenant?: string
    readonly validateOnly?: boolean
    readonly requestId?: string
    readonly timeoutMs?: number
  }): Promise<{ job: Job; position: string }> {
    const request = {
      requestId: init.requestId ?? newRequestId(this.#ports),
      manifest: init.manifest,
      fileName: init.fileName ?? '',
      tenant: init.tenant ?? '',
      validateOnly: init.validateOnly ?? false,
    }
    const options = init.timeoutMs === undefined ? {} : { timeoutMs: init.timeoutMs }
    const { job, position } = await this.#calls.submitJob(request, options)
    return { job: present(job), position }
  }

  /** One job; with `minPosition` not older than that. */
  async get(jobId: string, minPosition = ''): Promise<Job> {
    const { job } = await this.#calls.getJob({ jobId, minPosition })
    return present(job)
  }

  /** A page of jobs, newest first. */
  page(init: {
    readonly pageSize?: number
    readonly pageToken?: string
    readonly queue?: string
    readonly states?: readonly Job_State[]
  }): Promise<ListJobsResponse> {
    const { pageSize = 0, pageToken = '', queue = '', states = [] } = init
    const request = { pageSize, pageToken, queue, states, minPosition: '' }
    return this.#calls.listJobs(request)
  }

  /** All jobs, newest first, page by page. */
  async *list(init: { readonly queue?: string; readonly states?: readonly Job_State[] } = {}) {
    let pageToken = ''
    do {
      const page = await this.page({ ...init, pageSize: 1000, pageToken })
      yield* page.jobs
      pageToken = page.nextPageToken
    } while (pageToken !== '')
  }

  /** The job as it is, then each change, until it is finished. Survives lost connections. */
  watch(
    jobId: string,
    options: WatchPatience & { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<Job> {
    return watchJob(
      (resumeAfter, signal) => this.#calls.watchJob({ jobId, resumeAfter }, { signal }),
      { ...this.#ports, ...options },
    )
  }

  /** Ends a job. Idempotent. */
  async cancel(jobId: string): Promise<Job> {
    const requestId = newRequestId(this.#ports)
    const { job } = await this.#calls.cancelJob({ requestId, jobId })
    return present(job)
  }

  /**
   * Sets how many replicas (Inference) or tasks (elastic Training) a job shall have: the caller
   * decides from now on. `'auto'` gives the decision back to the autoscaler.
   */
  scale(jobId: string, wanted: number | 'auto'): Promise<ScaleJobResponse> {
    const automatic = wanted === 'auto'
    const requestId = newRequestId(this.#ports)
    return this.#calls.scaleJob({ requestId, jobId, wanted: automatic ? 0 : wanted, automatic })
  }

  /**
   * Gives an Inference job another description, or a former one: its replicas are replaced one
   * after another. One request id for all attempts. The job, with its new revision.
   */
  async update(init: {
    readonly jobId: string
    /** YAML or JSON; or `toRevision`. */
    readonly manifest?: string
    /** For error messages. */
    readonly fileName?: string
    /** Back to this one. */
    readonly toRevision?: number
  }): Promise<{ job: Job; position: string }> {
    const { jobId, manifest = '', fileName = '', toRevision = 0 } = init
    const requestId = newRequestId(this.#ports)
    const request = { requestId, jobId, manifest, fileName, toRevision }
    const { job, position } = await this.#calls.updateService(request)
    return { job: present(job), position }
  }

  /** Why a job is as it is, now or at a past position of the scheduler's log. */
  why(jobId: string, atPosition = ''): Promise<ExplainJobResponse> {
    return this.#calls.explainJob({ jobId, atPosition })
  }

  /** Logs of all ranks or one, as they come. Not resumed: what was read is not told again. */
  logs(init: {
    readonly jobId: string
    readonly rank?: number
    /** 0 = the newest. */
    readonly generation?: number
    /** 0 = all kept. */
    readonly tailLines?: number
    readonly follow?: boolean
    readonly signal?: AbortSignal
  }): AsyncIterable<ReadLogsResponse> {
    const { jobId, rank, generation = 0, tailLines = 0, follow = false, signal } = init
    const options = signal === undefined ? {} : { signal }
    return this.#pool.readLogs({ jobId, rank, generation, tailLines, follow }, options)
  }
}

function present(job: Job | undefined): Job {
  if (job === undefined) throw new TypeError('the answer has no job')
  return job
}

async function* pieces(
  archive: Uint8Array,
  digest: string,
): AsyncGenerator<UploadWorkspaceRequest> {
  for (let from = 0; from < archive.length || from === 0; from += PIECE_BYTES) {
    const piece = archive.subarray(from, from + PIECE_BYTES)
    const data = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    yield { data, digest: from === 0 ? digest : '' }
  }
}

/** A queue to be made; what is left out has the default of the API. */
export interface NewQueue {
  readonly name: string
  readonly tenant: string
  readonly weight?: number
  readonly priority?: number
  /** 0 = no maximum. */
  readonly maximum?: {
    readonly devices?: number
    readonly cpuMillis?: bigint
    readonly memoryMib?: bigint
  }
}

/** A connection to the platform. Close it when done. */
export interface PlatformClient extends AsyncDisposable {
  readonly jobs: JobsClient
  readonly queues: ClientOf<typeof QueueServiceService>
  readonly pool: ClientOf<typeof PoolServiceService>
  readonly incidents: ClientOf<typeof RecoveryServiceService>
  readonly checkpoints: ClientOf<typeof CheckpointServiceService>
  readonly objectives: ClientOf<typeof ObjectiveServiceService>
  readonly profiles: ClientOf<typeof ProfileServiceService>
  readonly scaling: ClientOf<typeof ScalingServiceService>
  readonly admin: ClientOf<typeof AdminServiceService>
  /** Public events and the present state as events: see `@serverless-ai/client/events`. */
  readonly feeds: ClientOf<typeof EventFeedServiceService>
  /** Stores a gzipped tar (at most 100 MiB) and returns its name for descriptions. */
  uploadWorkspace(archive: Uint8Array): Promise<string>
  /** Makes a queue (operators). One request id for all attempts. */
  createQueue(queue: NewQueue): Promise<Queue>
  /** Declares an objective; `validateOnly` looks whether it could be. One request id for all. */
  createObjective(
    objective: Objective,
    options?: { readonly validateOnly?: boolean },
  ): Promise<Objective>
  /** Ends an objective by its id. */
  deleteObjective(objectiveId: string): Promise<void>
  /** Whether decisions about a scaling target are carried out. `target`: job id or name. */
  setScalingMode(target: string, mode: Mode): Promise<SetModeResponse>
  close(): Promise<void>
}

/** Connects lazily: the first call opens the channel. */
export function connect(options: ConnectOptions): PlatformClient {
  const ports: Ports = {
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    randomness: options.randomness ?? systemRandomness,
    policy: { ...DEFAULT_RETRY, ...options.retry },
  }
  const tls = options.tls === undefined ? {} : { tls: options.tls }
  const below = options.transport ?? createGrpcTransport({ clock: ports.clock, ...tls })
  const transport = followLeader(below, ports, options.retry)
  const { address, token } = options
  const target = token === undefined ? { address } : { address, token }
  const pool = transport.client(PoolServiceService, target)
  const queues = transport.client(QueueServiceService, target)
  const workspaces = transport.client(WorkspaceServiceService, target)
  const objectives = transport.client(ObjectiveServiceService, target)
  const scaling = transport.client(ScalingServiceService, target)
  const close = async (): Promise<void> => {
    if (options.transport === undefined) await transport.close()
  }
  return {
    jobs: new JobsClient({ calls: transport.client(JobServiceService, target), pool, ports }),
    queues,
    pool,
    incidents: transport.client(RecoveryServiceService, target),
    checkpoints: transport.client(CheckpointServiceService, target),
    objectives,
    profiles: transport.client(ProfileServiceService, target),
    scaling,
    admin: transport.client(AdminServiceService, target),
    feeds: transport.client(EventFeedServiceService, target),
    async uploadWorkspace(archive) {
      const digest = `sha256:${createHash('sha256').update(archive).digest('hex')}`
      const timeoutMs = UPLOAD_TIMEOUT_MS
      const { workspace } = await workspaces.uploadWorkspace(pieces(archive, digest), { timeoutMs })
      return workspace
    },
    async createQueue(wanted) {
      const request = { requestId: newRequestId(ports), queue: Queue.fromPartial(wanted) }
      const { queue } = await queues.createQueue(request)
      if (queue === undefined) throw new TypeError('the answer has no queue')
      return queue
    },
    async createObjective(wanted, { validateOnly = false } = {}) {
      const request = { requestId: newRequestId(ports), objective: wanted, validateOnly }
      const { objective } = await objectives.createObjective(request)
      if (objective === undefined) throw new TypeError('the answer has no objective')
      return objective
    },
    async deleteObjective(objectiveId) {
      await objectives.deleteObjective({ requestId: newRequestId(ports), objectiveId })
    },
    setScalingMode: (wanted, mode) =>
      scaling.setMode({ requestId: newRequestId(ports), target: wanted, mode }),
    close,
    [Symbol.asyncDispose]: close,
  }
}
