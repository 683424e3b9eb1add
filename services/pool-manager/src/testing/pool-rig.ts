import { AgentServiceService } from '@serverless-ai/contracts/agent/v1/agent'
import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import { GangPlaced, GangReleased } from '@serverless-ai/contracts/events/v1/scheduler'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { openMemoryLog, openSnapshotDirectory } from '@serverless-ai/eventlog'
import type { Principal, Tracer, TransportServer } from '@serverless-ai/kernel'
import { type TestPorts, testPorts } from '@serverless-ai/kernel/testing'
import { type MemoryNetwork, memoryNetwork, staticTokens } from '@serverless-ai/rpc'
import { createRuntime, type FeedClient, type ServiceRuntime } from '@serverless-ai/runtime'
import { type PoolRuntime, poolManagerDefinition } from '../app/definition.ts'
import { createPoolApp, type PoolApp } from '../app/pool-app.ts'
import { type Emission, type Emit, type Emitted, emitterDefinition } from './emitter.ts'
import { ScriptedAgent } from './scripted-agent.ts'

const ADDRESS = '127.0.0.1:7070'

const agent = (nodeId: string): Principal => ({
  subject: `node:${nodeId}`,
  tenant: '',
  roles: ['agent'],
})
const PRINCIPALS: readonly { token: string; principal: Principal }[] = [
  ...['n1', 'n2'].map((nodeId) => ({ token: `token-${nodeId}`, principal: agent(nodeId) })),
  { token: 'token-admin', principal: { subject: 'admin', tenant: '', roles: ['admin'] } },
  ...['team-a', 'team-b'].map((tenant) => ({
    token: `token-${tenant}`,
    principal: { subject: `token:${tenant}`, tenant, roles: ['tenant'] },
  })),
]

/** The pool manager on the real runtime, the memory log, the in-memory network and virtual time. */
export class PoolRig {
  readonly ports: TestPorts
  /** Of the next start. */
  leaseMs: number
  runtime: PoolRuntime
  app: PoolApp
  /** Can be paused, as a log that hangs. */
  readonly log: ReturnType<typeof openMemoryLog>
  readonly #network: MemoryNetwork
  readonly #emitters = new Map<string, ServiceRuntime<Emission[], Emit, Emitted>>()
  #server: TransportServer

  constructor(init: { seed?: number; leaseMs?: number; tracer?: Tracer } = {}) {
    this.leaseMs = init.leaseMs ?? 15_000
    this.ports = { ...testPorts({ seed: init.seed ?? 7 }), tracer: init.tracer }
    this.log = openMemoryLog({ ports: this.ports })
    this.#network = memoryNetwork({ timers: this.ports.timers })
    for (const name of ['scheduler', 'mediator']) {
      const definition = emitterDefinition(name)
      this.#emitters.set(name, createRuntime(definition, this.#environment(), this.ports))
    }
    ;({ runtime: this.runtime, app: this.app, server: this.#server } = this.#make())
  }

  #make(): { runtime: PoolRuntime; app: PoolApp; server: TransportServer } {
    const { ports, leaseMs } = this
    const runtime = createRuntime(poolManagerDefinition(), this.#environment(), ports)
    const app = createPoolApp({ runtime, ports, leaseMs })
    const authenticate = staticTokens(PRINCIPALS)
    const { clock, timers, logger } = ports
    const server = this.#network.server({ clock, timers, logger, authenticate })
    server.add(AgentServiceService, app.agents)
    server.add(PoolServiceService, app.pool)
    app.start()
    return { runtime, app, server }
  }

  #environment() {
    const { ports } = this
    const feed: FeedClient = async (service, request) => {
      const emitter = this.#emitters.get(service)
      if (emitter === undefined) throw new Error(`nobody feeds ${service}`)
      return emitter.feedSnapshot({ types: [], ...request })
    }
    return {
      eventLog: this.log,
      snapshots: openSnapshotDirectory({ directory: '/snapshots', ports }),
      feed,
      replica: 'r1',
      address: ADDRESS,
      partition: 0,
    }
  }

  async start(): Promise<void> {
    for (const emitter of this.#emitters.values()) await this.run(emitter.start())
    await this.run(this.runtime.start())
    await this.run(this.#server.listen(ADDRESS))
  }

  /**
   * The control plane is away for a while: graceful stop, time passes, start over on the same log.
   */
  async restart(awayMs: number): Promise<void> {
    await this.run(this.#server.close(100))
    this.app.stop()
    await this.run(this.runtime.stop())
    await this.ports.time.advance(awayMs)
    ;({ runtime: this.runtime, app: this.app, server: this.#server } = this.#make())
    await this.run(this.runtime.start())
    await this.run(this.#server.listen(ADDRESS))
  }

  async stop(): Promise<void> {
    await this.run(this.#server.close(100))
    this.app.stop()
    await this.run(this.runtime.stop())
    for (const emitter of this.#emitters.values()) await this.run(emitter.stop())
  }

  /** Lets virtual time pass until the promise settles. */
  run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    return this.ports.time.run(promise, { limitMs })
  }

  connect(
    nodeId: string,
    session: string,
    more: { token?: string; wallMs?: number; protocol?: number } = {},
  ): ScriptedAgent {
    return new ScriptedAgent({
      transport: this.#network.transport(),
      address: ADDRESS,
      token: more.token ?? `token-${nodeId}`,
      nodeId,
      session,
      wallMs: more.wallMs ?? this.ports.clock.wallMs(),
      ...(more.protocol === undefined ? {} : { protocol: more.protocol }),
    })
  }

  client(token = 'token-admin') {
    return this.#network.transport().client(PoolServiceService, { address: ADDRESS, token })
  }

  /** Waits until the effective state satisfies a condition. */
  async until(condition: (state: Parameters<PoolRuntimeQuery>[0]) => boolean): Promise<void> {
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 10) {
      const { value } = await this.run(this.runtime.read(condition))
      if (value) return
      await this.ports.time.advance(10)
    }
    throw new Error('the state never came')
  }

  /** The scheduler places a gang of one rank per entry of `nodeOfRank`. */
  async place(jobId: string, generation: number, nodes: readonly string[]): Promise<void> {
    const message: GangPlaced = {
      jobId,
      tenant: 'team-a',
      gang: 0,
      generation,
      nodes: [...nodes],
      nodeOfRank: nodes.map((_, index) => index),
      deviceIndexes: nodes.map(() => 0),
      rank0Ports: [20_000],
      perTask: { devices: 1, cpuMillis: 100n, memoryMib: 64n },
      exclusive: true,
      checkpointPath: '',
      checkpointStep: 0n,
      masterAddress: '127.0.0.1',
      nodeEmulated: nodes.map(() => true),
      restartsCharged: 0,
      revision: 0,
    }
    await this.#emit('scheduler', 'GangPlaced', jobId, GangPlaced.encode(message).finish())
  }

  async prepare(jobId: string, generation: number, ranks: number): Promise<void> {
    const message: LaunchPrepared = {
      jobId,
      gang: 0,
      generation,
      tenant: 'team-a',
      command: ['python3', 'train.py'],
      env: { WORLD_SIZE: String(ranks) },
      rankEnv: Array.from({ length: ranks }, (_, rank) => ({ env: { RANK: String(rank) } })),
      workspace: '',
      stopGraceMs: 3_000n,
      logMaxBytes: 0n,
      readiness: undefined,
      revision: 0,
    }
    await this.#emit('mediator', 'LaunchPrepared', jobId, LaunchPrepared.encode(message).finish())
  }

  async release(jobId: string, throughGeneration: number, cause: string): Promise<void> {
    const message: GangReleased = { jobId, gang: 0, throughGeneration, cause }
    await this.#emit('scheduler', 'GangReleased', jobId, GangReleased.encode(message).finish())
  }

  async #emit(service: string, name: string, key: string, bytes: Uint8Array): Promise<void> {
    const emitter = this.#emitters.get(service)
    const type = `serverlessai.events.v1.${name}`
    const payload = Buffer.from(bytes).toString('base64')
    const emission = { type, key, tenant: 'team-a', payload }
    if (emitter === undefined) throw new Error(`${service} is no emitter`)
    await this.run(emitter.execute({ type: 'Emit', emission }))
  }

  /** Names of the public events published so far, with their keys. */
  async published(): Promise<readonly string[]> {
    const stop = new AbortController()
    const names: string[] = []
    const reading = (async () => {
      for await (const batch of this.runtime.watchFeed(0, stop.signal)) {
        for (const event of batch) names.push(event.type.replace('serverlessai.events.v1.', ''))
        if (names.length >= this.runtime.status().publicSeq) break
      }
    })()
    await this.run(reading)
    stop.abort()
    return names
  }
}

type PoolRuntimeQuery = Parameters<PoolRuntime['read']>[0]
