/**
 * A world for the specs of the runtime: one log and one snapshot directory that outlive the
 * processes on them.
 */
import {
  createMemoryLogStore,
  eventsTopic,
  type LogAddress,
  type LogRecord,
  logTopic,
  type MemoryLog,
  type MemoryLogFaults,
  openMemoryLog,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import { type Ports, RpcError, uuidV7 } from '@serverless-ai/kernel'
import { type TestPorts, testPorts } from '@serverless-ai/kernel/testing'
import type { RuntimeOptions } from '../context.ts'
import { settingsOf } from '../context.ts'
import { knownLevel } from '../levels.ts'
import { foldUpTo } from '../loader.ts'
import { LogClock } from '../log-clock.ts'
import { createRuntime } from '../runtime.ts'
import type { FeedClient, RuntimeEnvironment, ServiceDefinition, ServiceRuntime } from '../types.ts'
import type { BankCommand, BankEvent, BankState } from './bank.ts'

export type Bank = ServiceRuntime<BankState, BankCommand, BankEvent>
export type BankDefinition = ServiceDefinition<BankState, BankCommand, BankEvent>

/** A process on the world's log. */
export interface Process {
  readonly runtime: Bank
  readonly log: MemoryLog
}

export class World {
  readonly ports: TestPorts
  readonly store = createMemoryLogStore()
  /** Runtimes by service, for the bootstrap feeds of the others. */
  readonly served = new Map<string, Bank>()
  /** Who is asked for a bootstrap feed. */
  serving: (service: string) => Bank | undefined = (service) => this.served.get(service)
  readonly #trimmed = new Map<string, readonly LogRecord[]>()
  #ids = 0

  constructor(seed = 1) {
    this.ports = testPorts({ seed })
  }

  get time(): TestPorts['time'] {
    return this.ports.time
  }

  readonly feed: FeedClient = async (service, request) => {
    const runtime = this.serving(service)
    if (runtime === undefined) {
      throw new RpcError({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', message: service })
    }
    return runtime.feedSnapshot({ types: [], ...request })
  }

  environment(log: MemoryLog, replica: string): RuntimeEnvironment {
    const directory = '/snapshots'
    const snapshots = openSnapshotDirectory({ directory, ports: this.ports })
    const address = 'localhost:0'
    return { eventLog: log, snapshots, feed: this.feed, replica, address, partition: 0 }
  }

  /** A process that is not started yet. */
  process(
    definition: BankDefinition,
    more: {
      replica?: string
      faults?: MemoryLogFaults
      options?: RuntimeOptions
      wrap?: (environment: RuntimeEnvironment) => RuntimeEnvironment
      ports?: Ports
    } = {},
  ): Process {
    const ports = more.ports ?? this.ports
    const faults = more.faults === undefined ? {} : { faults: more.faults }
    const log = openMemoryLog({ ports, store: this.store, ...faults })
    const environment = this.environment(log, more.replica ?? 'r1')
    const wrapped = more.wrap?.(environment) ?? environment
    const runtime = createRuntime(definition, wrapped, ports, more.options)
    return { runtime, log }
  }

  /** A process that leads. */
  async started(
    definition: BankDefinition,
    more: Parameters<World['process']>[1] = {},
  ): Promise<Process> {
    const process = this.process(definition, more)
    this.served.set(definition.name, process.runtime)
    await this.run(process.runtime.start())
    return process
  }

  run<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    return this.time.run(promise, { limitMs })
  }

  /** Passes virtual time until the condition holds. */
  async until(condition: () => boolean, what: string, limitMs = 600_000): Promise<void> {
    const endMs = this.time.nowMs + limitMs
    while (!condition()) {
      if (this.time.nowMs >= endMs) throw new Error(`it did not happen: ${what}`)
      await this.time.advance(5)
    }
  }

  /** Options of a request that can be repeated. */
  request(body = 'a'): { requestId: string; bodyHash: Uint8Array } {
    this.#ids += 1
    const random = this.ports.randomness.bytes(10)
    const requestId = uuidV7(this.time.wallMs() + (this.#ids % 1000), random)
    return { requestId, bodyHash: new TextEncoder().encode(body) }
  }

  /** Records of the private log. */
  logLength(service = 'bank'): number {
    const { start, records } = this.store.partition({ topic: logTopic(service), partition: 0 })
    return start + records.length
  }

  /** Seqs on the events topic, in the order in which they lie there. */
  publishedSeqs(service = 'bank'): number[] {
    const { records } = this.store.partition({ topic: eventsTopic(service), partition: 0 })
    return records.map(({ headers }) => Number(headers['ce_id']?.split('/')[2]))
  }

  /** Removes all but the last few records of a topic. */
  trim(address: LogAddress, keep: number): void {
    const partition = this.store.partition(address)
    const count = Math.max(0, partition.records.length - keep)
    const gone = this.#trimmed.get(address.topic) ?? []
    this.#trimmed.set(address.topic, [...gone, ...partition.records.slice(0, count)])
    partition.records = partition.records.slice(count)
    partition.start += count
  }

  /** Everything that ever was in a topic, with what `trim` removed. */
  everything(address: LogAddress): readonly LogRecord[] {
    const gone = this.#trimmed.get(address.topic) ?? []
    return [...gone, ...this.store.partition(address).records]
  }

  /** State and digest of the log folded by an independent reader. */
  async fold(
    definition: BankDefinition,
    options: { snapshots?: boolean } = {},
  ): Promise<{ state: BankState; digest: string; position: number; unsettled: number }> {
    const log = openMemoryLog({ ports: this.ports, store: this.store })
    const full = { list: async () => [] }
    const environment = this.environment(log, 'reader')
    const context = {
      definition,
      environment:
        options.snapshots === true
          ? environment
          : { ...environment, snapshots: { ...environment.snapshots, ...full } },
      ports: this.ports,
      logger: this.ports.logger,
      options: settingsOf({}),
      logClock: new LogClock(this.ports.clock),
      level: knownLevel(definition),
    }
    const address = { topic: logTopic(definition.name), partition: 0 }
    const position = this.logLength(definition.name) - 1
    const state = await this.run(foldUpTo(context, address, { position }))
    return {
      state: state.core,
      digest: state.digest(),
      position: state.effectivePosition,
      unsettled: state.framework.effects.size,
    }
  }
}

/** Why a promise fails: the reason of its error, or what it says. */
export async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'no failure'
  } catch (error) {
    return (error as { reason?: string }).reason ?? String(error)
  }
}
