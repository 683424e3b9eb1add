import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminServiceService, type PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import { ObjectiveServiceService } from '@serverless-ai/contracts/objective/v1/objective'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { ProfileServiceService } from '@serverless-ai/contracts/profile/v1/profile'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import { ScalingServiceService } from '@serverless-ai/contracts/scaling/v1/scaling'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { ClientOf, Transport } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcTransport, followLeader } from '@serverless-ai/rpc'
import { type ServiceProcess, serviceProcesses, testBrokers, topicPrefixOf } from './environment.ts'
import { freePorts } from './ports.ts'
import { isAlive, processes } from './process-tree.ts'
import { ROOT } from './root.ts'
import { until } from './until.ts'
import { WatchedProcess } from './watched-process.ts'

/** Clients of one identity. */
export interface Clients {
  readonly jobs: ClientOf<typeof JobServiceService>
  readonly workspaces: ClientOf<typeof WorkspaceServiceService>
  readonly queues: ClientOf<typeof QueueServiceService>
  readonly pool: ClientOf<typeof PoolServiceService>
  readonly recovery: ClientOf<typeof RecoveryServiceService>
  readonly objectives: ClientOf<typeof ObjectiveServiceService>
  readonly profiles: ClientOf<typeof ProfileServiceService>
  readonly scaling: ClientOf<typeof ScalingServiceService>
  readonly admin: ClientOf<typeof AdminServiceService>
}

export interface PlatformInit {
  /** Kept and not removed when given. */
  readonly dataDir?: string
  readonly leaseMs?: number
  readonly nodes?: number
  readonly devicesPerNode?: number
  readonly quickstart?: boolean
  /** A main to run instead of the product's. */
  readonly main?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Brokers to run on; empty = on the embedded log. Default: {@link testBrokers}. */
  readonly brokers?: string
  /** Replicas of each service on Kafka. Default 2. */
  readonly replicas?: number
}

const MAIN = join(ROOT, 'apps/all-in-one/dist/main.js')

/** Ports that a platform on Kafka takes from its own on: health and edge, ten for each service. */
const KAFKA_PORTS = 10 * (1 + SERVICE_NAMES.length)
/** Ports that a platform of one process takes: gRPC, health, edge. */
const PORTS = 3

const brokersOf = ({ brokers }: PlatformInit): string => brokers ?? testBrokers()

/** A transport that follows leaders through the replicas of each service. */
function following(transport: Transport): Transport {
  return followLeader(transport, {
    clock: systemClock,
    timers: systemTimers,
    randomness: systemRandomness,
  })
}

/**
 * The platform as users start it: the built main on a data directory of its own, with real agents
 * and tasks; in one process, or on Kafka in several ({@link testBrokers}).
 */
export class Platform {
  readonly dataDir: string
  readonly port: number
  readonly #init: PlatformInit
  /** First port for tasks: 100 for each node. */
  readonly taskPortFirst: number
  readonly #plain: Transport = createGrpcTransport({ clock: systemClock })
  readonly #transport: Transport
  /** Topics of this platform alone. */
  readonly #topicPrefix: string
  /** Empty on the embedded log. */
  readonly #brokers: string
  readonly #process = new WatchedProcess('the control plane')

  private constructor(init: PlatformInit, port: number, taskPortFirst: number) {
    this.#init = init
    this.#brokers = brokersOf(init)
    this.#transport = this.#brokers === '' ? this.#plain : following(this.#plain)
    this.port = port
    this.taskPortFirst = taskPortFirst
    this.dataDir = init.dataDir ?? mkdtempSync(join(tmpdir(), 'sai-e2e-'))
    this.#topicPrefix = topicPrefixOf(this.dataDir) ?? `t${randomUUID().slice(0, 8)}.`
    // Tasks run as other users: they must get through to their own directories.
    chmodSync(this.dataDir, 0o711)
  }

  static async start(init: PlatformInit = {}): Promise<Platform> {
    const port = await freePorts(brokersOf(init) === '' ? PORTS : KAFKA_PORTS)
    const platform = new Platform(init, port, await freePorts(300))
    platform.spawn()
    try {
      await platform.ready()
      return platform
    } catch (error) {
      await platform.close()
      throw error
    }
  }

  /** Starts the control plane (again) on the same data directory; resolves at once. */
  spawn(env: Readonly<Record<string, string>> = {}): ChildProcess {
    const { leaseMs = 2_000, nodes = 3, devicesPerNode = 2, quickstart = false } = this.#init
    const args = [
      this.#init.main ?? MAIN,
      ...['--data', this.dataDir, '--port', String(this.port)],
      ...['--lease-ms', String(leaseMs), '--nodes', String(nodes)],
      ...['--devices-per-node', String(devicesPerNode)],
      ...['--task-port-first', String(this.taskPortFirst)],
      ...(quickstart ? [] : ['--no-quickstart']),
      ...this.logArgs(),
      ...(this.#init.args ?? []),
    ]
    return this.#process.watch(
      spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...this.#init.env, ...env },
      }),
    )
  }

  /** What it said, the end of it; may be set. */
  get output(): string {
    return this.#process.output
  }

  set output(text: string) {
    this.#process.output = text
  }

  /** What a start says about the log. */
  logArgs(): readonly string[] {
    if (this.#brokers === '') return []
    const { replicas = 2 } = this.#init
    const kafka = ['--kafka', this.#brokers, '--kafka.topic-prefix', this.#topicPrefix]
    return [...kafka, '--replicas', String(replicas)]
  }

  /** Where callers go, and what is asked by REST. */
  get edge(): string {
    return `http://127.0.0.1:${this.port + 2}`
  }

  /** Where the platform is: one address, or those of all processes of its services. */
  get address(): string {
    const services = this.processes.filter(({ service }) => service !== 'gateway')
    if (services.length === 0) return `127.0.0.1:${this.port}`
    return services.map(({ address }) => address).join(',')
  }

  /** Where a service is: the one address, or those of its replicas. */
  addressOf(service: string): string {
    const replicas = this.processes.filter((process) => process.service === service)
    return replicas.length === 0 ? this.address : replicas.map(({ address }) => address).join(',')
  }

  /** The processes of the services and the gateway; none where one process has them all. */
  get processes(): readonly ServiceProcess[] {
    return serviceProcesses(this.dataDir)
  }

  /** Processes of the control plane: that of the platform first. */
  get controlPlane(): readonly number[] {
    const pids = this.processes.map(({ pid }) => pid)
    return [this.pid, ...pids].filter((pid) => pid > 0 && isAlive(pid))
  }

  /** What the leader of each service says of itself; services without one are missing. */
  async leaders(init: { withDigest: boolean }): Promise<readonly PartitionStatus[]> {
    const token = this.#tokenOf('admin')
    const asked = await Promise.all(
      this.address.split(',').map(async (address) => {
        const admin = this.#plain.client(AdminServiceService, { address, token })
        const { partitions } = await admin.getStatus(init)
        return partitions.filter(({ role }) => role === 'Leading')
      }),
    )
    return asked.flat()
  }

  /** Address of the process that leads a service: where clients go that follow nobody. */
  async leaderAddress(service: string): Promise<string> {
    const { processes } = this
    if (processes.length === 0) return this.address
    const found = (await this.leaders({ withDigest: false })).find((one) => one.service === service)
    const process = processes.find(
      (one) => one.service === service && one.replica === found?.leader,
    )
    if (process === undefined) throw new Error(`nobody leads ${service}`)
    return process.address
  }

  #tokenOf(identity: string): string {
    const tokens = JSON.parse(readFileSync(join(this.dataDir, 'tokens.json'), 'utf8'))
    return tokens[identity] ?? tokens.tenants[identity]
  }

  get pid(): number {
    return this.#process.pid
  }

  get child(): ChildProcess | undefined {
    return this.#process.child
  }

  /** Resolves when `/readyz` says yes. Several processes take longer than one. */
  async ready(timeoutMs = this.#brokers === '' ? 60_000 : 180_000): Promise<void> {
    await this.#process.ready(`http://127.0.0.1:${this.port + 1}/readyz`, timeoutMs)
  }

  /** Clients with a token of `tokens.json`: `admin`, `service`, or a tenant. */
  as(identity: string): Clients {
    const target = { address: this.address, token: this.#tokenOf(identity) }
    return {
      jobs: this.#transport.client(JobServiceService, target),
      workspaces: this.#transport.client(WorkspaceServiceService, target),
      queues: this.#transport.client(QueueServiceService, target),
      pool: this.#transport.client(PoolServiceService, target),
      recovery: this.#transport.client(RecoveryServiceService, target),
      objectives: this.#transport.client(ObjectiveServiceService, target),
      profiles: this.#transport.client(ProfileServiceService, target),
      scaling: this.#transport.client(ScalingServiceService, target),
      admin: this.#transport.client(AdminServiceService, target),
    }
  }

  /** Process ids of a node: supervisor and agent. */
  node(nodeId: string): { supervisor: number; agent: number } {
    const path = join(this.dataDir, 'nodes', nodeId, 'supervisor.json')
    const { pid, agentPid } = JSON.parse(readFileSync(path, 'utf8'))
    return { supervisor: pid, agent: agentPid }
  }

  /** Nodes that have a directory. */
  nodeIds(): readonly string[] {
    const directory = join(this.dataDir, 'nodes')
    return existsSync(directory) ? readdirSync(directory) : []
  }

  /** Processes of tasks of a job (by their environment). */
  tasks(
    jobId: string,
  ): readonly { pid: number; rank: number; nodeId: string; generation: number }[] {
    return processes().flatMap((info) => {
      if (!info.environment.includes(`SAI_JOB_ID=${jobId}\0`)) return []
      const value = (name: string) =>
        new RegExp(`(?:^|\0)${name}=([^\0]*)`).exec(info.environment)?.[1] ?? ''
      const { pid } = info
      return [
        {
          pid,
          rank: Number(value('RANK')),
          nodeId: value('SAI_NODE_ID'),
          generation: Number(value('SAI_GENERATION')),
        },
      ]
    })
  }

  /** SIGKILL to the control plane, all of its processes; nodes and tasks go on. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.exited()
    // Nobody is left who starts them anew.
    for (const { pid } of this.processes) killHard(pid)
    await this.#servicesEnded()
  }

  async #servicesEnded(): Promise<void> {
    const running = () => this.processes.filter(({ pid }) => pid > 0 && isAlive(pid))
    await until('the services to end', () => (running().length === 0 ? true : undefined), {
      timeoutMs: 15_000,
      everyMs: 10,
    })
  }

  /** Resolves with the exit code when the control plane has ended. */
  async exited(timeoutMs = this.#brokers === '' ? 30_000 : 40_000): Promise<number> {
    return this.#process.exited(timeoutMs)
  }

  /** Ctrl-C; resolves with the time it took, ms. */
  async interrupt(): Promise<number> {
    const startedMs = performance.now()
    this.child?.kill('SIGINT')
    await this.exited()
    return performance.now() - startedMs
  }

  /** Ends everything of this platform, by force where needed, and removes its directory. */
  async close(): Promise<void> {
    if (this.#process.running) {
      this.child?.kill('SIGINT')
      await this.exited().catch(() => this.child?.kill('SIGKILL'))
    }
    for (const pid of this.leftovers()) killHard(pid)
    await this.#plain.close()
    if (this.#init.dataDir === undefined) rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** Services, supervisors, agents and tasks that still run. */
  leftovers(): readonly number[] {
    const own = this.nodeIds().flatMap((nodeId) => {
      try {
        const { supervisor, agent } = this.node(nodeId)
        return [supervisor, agent].filter((pid) => pid > 0 && isAlive(pid))
      } catch {
        return []
      }
    })
    const tasks = processes()
      .filter((info) => info.environment.includes(this.dataDir))
      .map((info) => info.pid)
    const services = processes()
      .filter(({ command }) => command.includes(`${this.dataDir}/processes/`))
      .map(({ pid }) => pid)
    return [...new Set([...own, ...tasks, ...services])].filter((pid) => pid !== process.pid)
  }
}

function killHard(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
