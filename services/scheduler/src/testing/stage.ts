import {
  DevicesFreed,
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import { Node, Node_State, TaskExit_Cause } from '@serverless-ai/contracts/pool/v1/pool'
import {
  createMemoryLogStore,
  eventsTopic,
  openMemoryLog,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import { accept, type CallContext, type Decider, RpcError, uuidV7 } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import {
  createRuntime,
  type FeedClient,
  type PublicDraft,
  type ServiceDefinition,
  type ServiceRuntime,
} from '@serverless-ai/runtime'
import type { SchedulerRuntime } from '../app/definition.ts'
import { schedulerDefinition } from '../app/definition.ts'
import { SchedulerHandlers } from '../app/handlers.ts'

type Said = { readonly type: 'Said'; readonly event: string; readonly payload: readonly number[] }
type Say = { readonly type: 'Say'; readonly event: string; readonly payload: readonly number[] }
type Relay = ServiceRuntime<Said[], Say, Said>

/**
 * In the place of the pool manager: publishes what it is told to, and remembers it for bootstraps.
 */
const relay: Decider<Said[], Say, Said> = {
  initial: () => [],
  decide: ({ event, payload }) => accept([{ type: 'Said', event, payload }]),
  evolve: (state, said) => [...state, said],
  toJson: (state) => state,
  fromJson: (json) => json as Said[],
}
const draft = ({ event, payload }: Said): PublicDraft => ({
  type: `serverlessai.events.v1.${event}`,
  key: 'n',
  tenant: '',
  payload: Uint8Array.from(payload),
})
const poolManager: ServiceDefinition<Said[], Say, Said> = {
  name: 'pool-manager',
  schemaVersion: 1,
  decider: relay,
  publish: (event) => [draft(event)],
  snapshotFeed: (state) => state.map(draft),
  inputs: [],
}

/**
 * The scheduler on a real runtime over a memory log in virtual time, with a stand-in for the pool
 * manager beside it.
 */
export class Stage {
  readonly ports = testPorts({ seed: 1 })
  readonly store = createMemoryLogStore()
  readonly #served = new Map<string, SchedulerRuntime | Relay>()
  #ids = 0
  #pool: Relay | undefined
  #scheduler: SchedulerRuntime | undefined
  #handlers: SchedulerHandlers | undefined

  async start(): Promise<void> {
    this.#pool = this.#runtime(poolManager)
    await this.run(this.#pool.start())
    await this.restart()
  }

  /** Another process of the scheduler on the same log; the one before it has stopped. */
  async restart(): Promise<void> {
    if (this.#scheduler !== undefined) await this.run(this.#scheduler.stop())
    this.#scheduler = this.#runtime(schedulerDefinition())
    this.#handlers = new SchedulerHandlers(this.#scheduler)
    await this.run(this.#scheduler.start())
  }

  async stop(): Promise<void> {
    for (const runtime of this.#served.values()) await this.run(runtime.stop())
  }

  get scheduler(): SchedulerRuntime {
    return this.#scheduler!
  }
  get rpc() {
    return this.#handlers!.scheduler()
  }
  get queues() {
    return this.#handlers!.queues()
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.ports.time.run(promise, { limitMs: 60_000 })
  }

  /** Passes virtual time until a query about the scheduler's state is true. */
  async until(query: (runtime: SchedulerRuntime) => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 2_000; i++) {
      if (await this.run(query(this.scheduler))) return
      await this.ports.time.advance(10)
    }
    throw new Error('it did not happen')
  }

  requestId(): string {
    this.#ids += 1
    return uuidV7(this.ports.clock.wallMs() + this.#ids, this.ports.randomness.bytes(10))
  }

  /** A call by an admin, a service or a tenant. */
  by(who: 'admin' | 'service' | { tenant: string }): CallContext {
    const tenant = typeof who === 'string' ? '' : who.tenant
    const roles = [typeof who === 'string' ? who : 'tenant']
    const principal = { subject: `token:${tenant}`, tenant, roles }
    const signal = new AbortController().signal
    return { principal, signal, timeoutMs: 30_000, metadata: new Map() }
  }

  /** Public events that the scheduler has published. */
  published(): { readonly type: string; readonly payload: Uint8Array }[] {
    const address = { topic: eventsTopic('scheduler'), partition: 0 }
    return this.store.partition(address).records.map(({ headers, value }) => ({
      type: headers['ce_type']!.replace('serverlessai.events.v1.', ''),
      payload: value,
    }))
  }

  async say(event: string, payload: Uint8Array): Promise<void> {
    await this.run(this.#pool!.execute({ type: 'Say', event, payload: [...payload] }))
  }

  nodeChanged(nodeId: string, devices: number): Promise<void> {
    const inventory = {
      cpuMillis: 8_000n,
      memoryMib: 16_000n,
      devices: Array.from({ length: devices }, (_, index) => ({
        index,
        uuid: `emulated-${index}`,
        model: 'emulated/gpu',
        memoryMib: 1_000n,
        emulated: true,
        healthy: true,
      })),
      address: '127.0.0.1',
      portFirst: 20_000,
      portLast: 20_009,
    }
    const base = Node.fromPartial({ nodeId, state: Node_State.READY })
    const more = { labels: {}, agentVersion: '', isolation: '' }
    const node = { ...base, inventory: { ...inventory, ...more } }
    return this.say('NodeChanged', NodeChanged.encode({ node, cause: '' }).finish())
  }

  nodeLost(nodeId: string): Promise<void> {
    return this.say('NodeLost', NodeLost.encode(NodeLost.fromPartial({ nodeId })).finish())
  }

  taskStarted(jobId: string, generation: number, rank: number): Promise<void> {
    const started = TaskStarted.fromPartial({ jobId, generation, rank })
    return this.say('TaskStarted', TaskStarted.encode(started).finish())
  }

  taskExited(jobId: string, generation: number, at: { rank: number; exitCode: number }) {
    const exit = { cause: TaskExit_Cause.EXITED, exitCode: at.exitCode }
    const exited = TaskExited.fromPartial({ jobId, generation, rank: at.rank, exit })
    return this.say('TaskExited', TaskExited.encode(exited).finish())
  }

  taskReported(jobId: string, generation: number, at: { rank: number; json: string }) {
    const { rank, json } = at
    const report = TaskReported.fromPartial({ jobId, generation, rank, kind: 'result', json })
    return this.say('TaskReported', TaskReported.encode(report).finish())
  }

  devicesFreed(jobId: string, generation: number, ranks: number[]): Promise<void> {
    const freed = { ...DevicesFreed.fromPartial({ jobId, generation }), ranks }
    return this.say('DevicesFreed', DevicesFreed.encode(freed).finish())
  }

  readonly #feed: FeedClient = async (service, request) => {
    const runtime = this.#served.get(service)
    if (runtime !== undefined) return runtime.feedSnapshot({ types: [], ...request })
    throw new RpcError({ code: 'UNAVAILABLE', reason: 'UNAVAILABLE', message: service })
  }

  #runtime<S, C extends { type: string }, E extends { type: string }>(
    definition: ServiceDefinition<S, C, E>,
  ): ServiceRuntime<S, C, E> {
    const { ports } = this
    const eventLog = openMemoryLog({ ports, store: this.store })
    const snapshots = openSnapshotDirectory({ directory: '/snapshots', ports })
    const place = { replica: 'r1', address: 'localhost:0', partition: 0 }
    const runtime = createRuntime(
      definition,
      { eventLog, snapshots, feed: this.#feed, ...place },
      ports,
    )
    this.#served.set(definition.name, runtime as never)
    return runtime
  }
}
