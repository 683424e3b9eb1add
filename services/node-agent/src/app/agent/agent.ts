import type { DesiredSet, Hello } from '@serverless-ai/contracts/agent/v1/agent'
import type { Clock, Logger, Randomness, Timers, Transport } from '@serverless-ai/kernel'
import {
  assignmentFromProto,
  type DevicesGiven,
  inventoryToProto,
  keyFromProto,
  type NodeInventory,
  versionFromProto,
  versionToProto,
} from '../../adapters/grpc/mapping.ts'
import { delayMs, jitter, RECONNECT, STEADY_MS } from '../../core/backoff.ts'
import type { NodeConfig } from '../../core/config.ts'
import { deviceEnvironment } from '../../core/environment.ts'
import { problemOf } from '../../core/errors.ts'
import { compareVersions, type DesiredVersion, isSafeName } from '../../core/keys.ts'
import type { Report } from '../../core/outbox.ts'
import type { RunningTask } from '../../core/running.ts'
import type { ToAgent, ToSupervisor } from '../ipc.ts'
import { Connection } from './connection.ts'
import type { LogSource } from './log-source.ts'
import { type AskProbe, Prober } from './prober.ts'
import type { WorkspaceSource } from './workspace-source.ts'

/** Measures what runs on the node. */
export interface Measurement {
  /** All tasks that run. */
  watch(tasks: readonly RunningTask[]): void
  /** What tasks reported, on its way to the pool manager. */
  onReport(report: Report): void
  stop(): void
}

/** What an agent needs. */
export interface AgentOptions {
  readonly config: NodeConfig
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly logger: Logger
  readonly logSource: LogSource
  readonly workspaces: WorkspaceSource
  readonly askProbe: AskProbe
  /** Absent = nothing is measured. */
  readonly measurement?: Measurement | undefined
  readonly toSupervisor: (message: ToSupervisor) => void
  readonly session: Extract<ToAgent, { type: 'session' }>
  readonly inventory: NodeInventory
}

/** Dials the pool manager for ever and passes on what it and the supervisor say. */
export class Agent {
  private readonly options: AgentOptions
  private readonly stopping = new AbortController()
  private readonly stopped: Promise<void>
  private readonly prober: Prober
  private highest: DesiredVersion
  private report: Report | undefined
  private connection: Connection | undefined
  private failures = 0
  private lastProblem = ''

  constructor(options: AgentOptions) {
    this.options = options
    this.prober = new Prober(options)
    this.highest = options.session.journal
    this.stopped = this.connectForEver()
  }

  /** A message of the supervisor. */
  onMessage(message: ToAgent): void {
    switch (message.type) {
      case 'report':
        this.report = message.report
        this.options.measurement?.onReport(message.report)
        this.connection?.sendReport()
        return
      case 'running':
        this.options.measurement?.watch(message.tasks)
        return
      case 'probes':
        this.prober.watch(message.targets)
        return
      case 'prepare':
        void this.prepare(message)
        return
      default:
        return
    }
  }

  /** Ends the stream in order. */
  async stop(): Promise<void> {
    this.prober.stop()
    this.options.measurement?.stop()
    this.stopping.abort(new Error('the agent is stopped'))
    await this.stopped
  }

  private async prepare(message: Extract<ToAgent, { type: 'prepare' }>): Promise<void> {
    const { key, workspace, directory, uid } = message
    const problem = await this.options.workspaces.prepare(workspace, directory, uid)
    const failed = problem === undefined ? {} : { problem }
    this.options.toSupervisor({ type: 'prepared', key, ...failed })
  }

  private async connectForEver(): Promise<void> {
    const { signal } = this.stopping
    const { clock, timers, randomness } = this.options
    while (!signal.aborted) {
      this.connection = new Connection(this.connectionOptions())
      const startedMs = clock.monotonicMs()
      try {
        await this.connection.run(signal)
        this.failed(new Error('the pool manager ended the stream'))
      } catch (error) {
        this.failed(error)
      }
      this.connection = undefined
      if (clock.monotonicMs() - startedMs >= STEADY_MS) this.failures = 1
      const ms = jitter(delayMs(RECONNECT, this.failures), randomness.float())
      await timers.sleep(ms, signal).catch(() => undefined)
    }
  }

  private failed(error: unknown): void {
    this.failures += 1
    if (this.stopping.signal.aborted) return
    const problem = problemOf(error)
    // Said once, not at every attempt: the log of a node that waits for days stays small.
    if (problem === this.lastProblem) return
    this.lastProblem = problem
    const { poolAddress } = this.options.config
    this.options.logger.log('warn', 'no stream to the pool manager', { poolAddress, problem })
  }

  private connectionOptions() {
    const { config } = this.options
    return {
      ...this.options,
      address: config.poolAddress,
      token: config.token,
      hello: () => this.hello(),
      report: () => this.report,
      onWelcome: (leaseMs: number) => {
        this.options.logger.log('info', 'connected', { leaseMs, poolAddress: config.poolAddress })
      },
      onDesired: (set: DesiredSet) => this.onDesired(set),
      onLease: (deadlineBootMs: number, setSeen: boolean) =>
        this.options.toSupervisor({ type: 'lease', deadlineBootMs, setSeen }),
      onAck: (number: number) => {
        if (this.report?.number === number) this.report = undefined
        this.options.toSupervisor({ type: 'ack', number })
      },
    }
  }

  private hello(): Hello {
    const { config, session, clock, inventory } = this.options
    return {
      nodeId: config.nodeId,
      supervisorSession: session.session,
      protocol: 1,
      inventory: inventoryToProto(inventory),
      wallMs: BigInt(Math.trunc(clock.wallMs())),
      highest: versionToProto(this.highest),
    }
  }

  private onDesired(set: DesiredSet): void {
    const version = versionFromProto(set.version)
    if (compareVersions(version, this.highest) < 0) return
    this.highest = version
    const assignments = set.assignments.flatMap((proto) => {
      const assignment = assignmentFromProto(proto, (indexes) => this.given(indexes))
      if (assignment !== undefined && isSafeName(assignment.key.jobId)) return [assignment]
      this.options.logger.log('error', 'an assignment without a usable key is passed over')
      return []
    })
    const forget = set.forget.flatMap((key) => keyFromProto(key) ?? [])
    this.options.toSupervisor({ type: 'desired', version, assignments, forget })
  }

  private given(indexes: readonly number[]): DevicesGiven {
    const { config, inventory } = this.options
    const devices = inventory.devices.filter((device) => indexes.includes(device.index))
    const nvidia = inventory.devices.some((device) => !device.emulated)
    const bound = devices.flatMap(({ cpuMillis }) => cpuMillis ?? [])
    return {
      variables: deviceEnvironment(config.nodeId, devices, nvidia),
      cpuMillis: bound.length === 0 ? undefined : bound.reduce((sum, millis) => sum + millis, 0),
    }
  }
}
