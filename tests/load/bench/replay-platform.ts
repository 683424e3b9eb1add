import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  createMemoryLogStore,
  type MemoryLogStore,
  openMemoryLog,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import { faultToleranceDefinition } from '@serverless-ai/fault-tolerance'
import type { Message } from '@serverless-ai/kernel'
import { type TestPorts, testPorts } from '@serverless-ai/kernel/testing'
import { mediatorDefinition } from '@serverless-ai/mediator'
import { type PoolRuntime, poolManagerDefinition } from '@serverless-ai/pool-manager'
import { memoryNetwork } from '@serverless-ai/rpc'
import {
  createRuntime,
  type FeedClient,
  type RuntimeEnvironment,
  type ServiceDefinition,
  type ServiceRuntime,
} from '@serverless-ai/runtime'
import { SchedulerHandlers, schedulerDefinition } from '@serverless-ai/scheduler'

/** An append takes this long, ms: about what a synced write of a disk does. */
export const APPEND_MS = [1, 3] as const

/** Runtime of the service that a function defines. */
type RuntimeOf<F extends (...parts: never[]) => unknown> =
  ReturnType<F> extends ServiceDefinition<infer S, infer C, infer E>
    ? ServiceRuntime<S, C, E>
    : never
type Served = Pick<ServiceRuntime<unknown, Message, Message>, 'start' | 'feedSnapshot'>

/**
 * The four services on the real runtime over one memory log, in virtual time and without a network
 * between them that could be in the way: what is recorded is what they write.
 */
export class ReplayPlatform {
  readonly ports: TestPorts
  readonly store: MemoryLogStore = createMemoryLogStore()
  readonly #served = new Map<string, Served>()
  readonly mediator: RuntimeOf<typeof mediatorDefinition>
  readonly scheduler: RuntimeOf<typeof schedulerDefinition>
  readonly pool: PoolRuntime
  readonly faultTolerance: RuntimeOf<typeof faultToleranceDefinition>

  constructor(seed: number) {
    this.ports = testPorts({ seed })
    const { clock, timers, logger } = this.ports
    this.scheduler = this.#runtime(schedulerDefinition())
    const handlers = new SchedulerHandlers(this.scheduler)
    const network = memoryNetwork({ timers })
    const authenticate = () => ({ subject: 'service', tenant: '', roles: ['service'] })
    const server = network.server({ clock, timers, logger, authenticate })
    server.add(SchedulerServiceService, handlers.scheduler())
    const address = '127.0.0.1:7070'
    void server.listen(address)
    const target = { address, token: 'service' }
    const client = network.transport().client(SchedulerServiceService, target)
    this.mediator = this.#runtime(mediatorDefinition(client))
    this.pool = this.#runtime(poolManagerDefinition())
    this.faultTolerance = this.#runtime(faultToleranceDefinition(client))
  }

  /** Starts all services and makes the queues. */
  async start(queues: readonly string[]): Promise<void> {
    for (const runtime of this.#served.values()) await this.run(runtime.start())
    for (const name of queues) {
      const maximum = { devices: 0, cpuMillis: 0, memoryMib: 0 }
      const queue = { name, tenant: name, weight: 1, priority: 0, maximum }
      await this.run(this.scheduler.execute({ type: 'CreateQueue', queue }))
    }
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.ports.time.run(promise, { limitMs: 3_600_000 })
  }

  #runtime<S, C extends Message, E extends Message>(
    definition: ServiceDefinition<S, C, E>,
  ): ServiceRuntime<S, C, E> {
    const { ports, store } = this
    const faults = { sendDelayMs: APPEND_MS }
    const feed: FeedClient = async (service, request) => {
      const runtime = this.#served.get(service)
      if (runtime === undefined) throw new Error(`nobody feeds ${service}`)
      return runtime.feedSnapshot({ types: [], ...request })
    }
    const environment: RuntimeEnvironment = {
      eventLog: openMemoryLog({ ports, store, faults }),
      snapshots: openSnapshotDirectory({ directory: '/snapshots', ports }),
      feed,
      replica: 'r1',
      address: '127.0.0.1:7070',
      partition: 0,
    }
    const runtime = createRuntime(definition, environment, ports)
    this.#served.set(definition.name, runtime)
    return runtime
  }
}
