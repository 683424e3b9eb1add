import { GangPlaced, JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import {
  type ListObjectivesRequest,
  Objective,
  ObjectiveStatus,
} from '@serverless-ai/contracts/objective/v1/objective'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import {
  type JobRequest,
  type ResizeRequest,
  SchedulerServiceService,
  type StoryEntry,
  type UpdateRequest,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  createMemoryLogStore,
  eventsTopic,
  openMemoryLog,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import type { ClientOf } from '@serverless-ai/kernel'
import { invariant, type Principal, RpcError } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { memoryNetwork } from '@serverless-ai/rpc'
import { createRuntime } from '@serverless-ai/runtime'
import { TakenJobs } from '../app/changes.ts'
import { type MediatorRuntime, mediatorDefinition } from '../app/definition.ts'
import { mediatorHandlers } from '../app/handlers.ts'
import type { BlobStore } from '../app/workspaces.ts'

const TENANTS = ['a', 'b']
const refused = (reason: string, code: RpcError['code']) =>
  new RpcError({ code, reason, message: `${reason} said the scheduler`, metadata: { queue: 'q' } })

function principalOf(token: string): Principal | undefined {
  if (token === 'admin' || token === 'service') {
    return { subject: token, tenant: '', roles: [token] }
  }
  if (!TENANTS.includes(token)) return undefined
  return { subject: `token:${token}`, tenant: token, roles: ['tenant'] }
}

/** The real mediator on a memory log and network; scheduler and fault tolerance follow a script. */
export class MediatorWorld {
  readonly ports = testPorts({ seed: 7 })
  readonly store = createMemoryLogStore()
  readonly network = memoryNetwork({ timers: this.ports.timers })
  readonly #log = openMemoryLog({ ports: this.ports, store: this.store })
  readonly enqueued: JobRequest[] = []
  readonly cancelled: string[] = []
  /** Objectives of the tenants as the SLA monitor tells them, or that it is away. */
  objectives: { readonly tenant: string; readonly name: string }[] | RpcError = []
  /** What the scheduler answers; undefined = it takes the job. */
  validateError: RpcError | undefined
  readonly resized: ResizeRequest[] = []
  readonly updated: UpdateRequest[] = []
  updateError: RpcError | undefined
  enqueueError: RpcError | undefined
  /** Advice of the scheduler before that answer: it may take its time, or refuse. */
  advise: () => Promise<void> = async () => undefined
  schedulerStory: StoryEntry[] | RpcError = []
  recoveryStory: StoryEntry[] | RpcError = []
  #seq = 0
  #address = ''
  #runtime: MediatorRuntime | undefined

  get time() {
    return this.ports.time
  }

  static readonly refused = refused

  async #serve(name: string, add: (server: ReturnType<typeof this.network.server>) => void) {
    const { clock, timers, logger } = this.ports
    const server = this.network.server({ clock, timers, logger, authenticate: principalOf })
    add(server)
    return this.run(server.listen(`127.0.0.1:${name}`))
  }

  #scheduler() {
    const story = () => {
      if (this.schedulerStory instanceof RpcError) throw this.schedulerStory
      return this.schedulerStory
    }
    return this.#serve('0', (server) =>
      server.add(SchedulerServiceService, {
        validate: async () => {
          await this.advise()
          if (this.validateError !== undefined) throw this.validateError
          return { waiting: undefined }
        },
        enqueue: async ({ job }) => {
          if (this.enqueueError !== undefined) throw this.enqueueError
          if (job !== undefined) this.enqueued.push(job)
          return { position: 'scheduler:0:1:1' }
        },
        cancel: async ({ jobId }) => {
          this.cancelled.push(jobId)
          return { position: 'scheduler:0:2:2' }
        },
        recover: async () => ({ position: '' }),
        giveUp: async () => ({ position: '' }),
        resize: async (request) => {
          this.resized.push(request)
          return { position: 'scheduler:0:3:3', scale: undefined, waiting: undefined }
        },
        update: async (request) => {
          if (this.updateError !== undefined) throw this.updateError
          this.updated.push(request)
          return { position: 'scheduler:0:4:4' }
        },
        explain: async () => ({
          state: 'Running',
          reason: undefined,
          generation: 1,
          story: story(),
          position: 'scheduler:0:9:9',
          queuePosition: 0,
          scale: undefined,
          update: undefined,
        }),
      }),
    )
  }

  #recovery() {
    return this.#serve('0', (server) =>
      server.add(RecoveryServiceService, {
        listIncidents: async () => ({ incidents: [], nextPageToken: '', position: '' }),
        explainIncidents: async () => {
          if (this.recoveryStory instanceof RpcError) throw this.recoveryStory
          return { story: this.recoveryStory }
        },
      }),
    )
  }

  /** Starts the mediator; again after `stop` on the same log. */
  async start(): Promise<() => Promise<void>> {
    const transport = this.network.transport()
    const [schedulerAt, recoveryAt] = [await this.#scheduler(), await this.#recovery()]
    const token = 'service'
    const scheduler = transport.client(SchedulerServiceService, { address: schedulerAt, token })
    const recovery = transport.client(RecoveryServiceService, { address: recoveryAt, token })
    const taken = new TakenJobs()
    const runtime = createRuntime(
      mediatorDefinition(scheduler, (jobId) => taken.tell(jobId)),
      {
        eventLog: this.#log,
        snapshots: openSnapshotDirectory({ directory: '/snapshots', ports: this.ports }),
        feed: async () => ({ events: [], seq: this.#seq, offset: 0, nextPageToken: '' }),
        replica: 'r1',
        address: '127.0.0.1:1',
        partition: 0,
      },
      this.ports,
    )
    this.#runtime = runtime
    await this.run(runtime.start())
    const store: BlobStore = {
      maxTotalMib: 1,
      has: async (tenant, workspace) => tenant === 'a' && workspace.endsWith('a'),
      receive: () => Promise.reject(new Error('no uploads in this world')),
      open: async () => undefined,
      makeRoom: async () => true,
    }
    const { clock, timers } = this.ports
    const handlers = mediatorHandlers({
      ...{ runtime, taken, store, clock, timers, scheduler, recovery },
      serving: {
        classes: ['interactive', 'standard', 'batch'],
        objectives: { listObjectives: (request) => this.#listObjectives(request) },
      },
    })
    this.#address = await this.#serve('0', (server) => {
      server.add(JobServiceService, handlers.jobs)
      server.add(WorkspaceServiceService, handlers.workspaces)
    })
    return () => this.run(runtime.stop())
  }

  /** One to a page. */
  async #listObjectives({ pageToken }: ListObjectivesRequest) {
    if (this.objectives instanceof RpcError) throw this.objectives
    const next = Number(pageToken) + 1
    const found = this.objectives[next - 1]
    const objective = Objective.fromPartial(found ?? {})
    return {
      objectives: found === undefined ? [] : [{ ...ObjectiveStatus.fromPartial({}), objective }],
      nextPageToken: next < this.objectives.length ? String(next) : '',
      position: '',
    }
  }

  /** The runtime of the last start. */
  get runtime(): MediatorRuntime {
    invariant(this.#runtime !== undefined, 'start it first')
    return this.#runtime
  }

  /** A client with a token: a tenant's name, `admin` or `service`. */
  client(token: string): ClientOf<typeof JobServiceService> {
    return this.network.transport().client(JobServiceService, { address: this.#address, token })
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.time.run(promise)
  }

  async #publish(type: string, key: string, value: Uint8Array): Promise<void> {
    this.#seq += 1
    const headers = {
      ce_id: `scheduler/0/${this.#seq}`,
      ce_type: `serverlessai.events.v1.${type}`,
      ce_time: new Date(this.time.wallMs()).toISOString(),
      ce_tenant: 'a',
    }
    const address = { topic: eventsTopic('scheduler'), partition: 0 }
    await this.run(this.#log.append(address, [{ key, headers, value }]))
  }

  /** The scheduler tells a state. */
  tellState(jobId: string, state: string, more: Partial<JobStateChanged> = {}): Promise<void> {
    const event = { ...JobStateChanged.fromPartial({}), jobId, state, generation: 1, atMs: 5n }
    return this.#publish(
      'JobStateChanged',
      jobId,
      JobStateChanged.encode({ ...event, ...more }).finish(),
    )
  }

  /** The scheduler tells a placement of two ranks on two nodes. */
  tellPlaced(jobId: string, generation: number): Promise<void> {
    const event: GangPlaced = {
      ...GangPlaced.fromPartial({}),
      jobId,
      tenant: 'a',
      generation,
      nodes: ['n1', 'n2'],
      nodeOfRank: [0, 1],
      rank0Ports: [30_000],
      masterAddress: '127.0.0.1',
      nodeEmulated: [true, true],
      perTask: { devices: 1, cpuMillis: 500n, memoryMib: 512n },
    }
    return this.#publish('GangPlaced', jobId, GangPlaced.encode(event).finish())
  }

  /** Values of the mediator's public events of a type, in order. */
  published(type: string): Uint8Array[] {
    const { records } = this.store.partition({ topic: eventsTopic('mediator'), partition: 0 })
    return records
      .filter(({ headers }) => headers.ce_type === `serverlessai.events.v1.${type}`)
      .map(({ value }) => value)
  }

  /** Lets time pass until the condition holds. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 2_000; i += 1) {
      if (await condition()) return
      await this.time.advance(10)
    }
    throw new Error('it did not happen within 20 s')
  }
}
