import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  allInOneConfig,
  QUICKSTART_TENANTS,
  type RunningPlatform,
  startPlatform,
} from '@serverless-ai/all-in-one'
import { servicesWithout } from '@serverless-ai/contracts/services'
import { openMemoryLog } from '@serverless-ai/eventlog'
import { openPlatform, systemPorts } from '@serverless-ai/hosting'
import { systemTimers } from '@serverless-ai/kernel/system'
import { localNodeStatus } from '@serverless-ai/node-agent'
import { endAfter, endAll } from '../ending.ts'
import { type Ground, type NodeSignal, PlatformHandle } from '../handle.ts'
import type { TestPlatform } from '../platform.ts'
import { freePorts } from '../ports.ts'
import { configOf, nodeIdsOf, type Settings, tokensFile } from '../settings.ts'
import { TwinBuilder } from './builder.ts'
import { type StartedVirtualTwin, startVirtual } from './virtual.ts'

/** Ports for tasks of one node. */
const TASK_PORTS = 100
const LINES_KEPT = 40
/** Of Linux. */
const MEMORY_DIRECTORY = '/dev/shm'

/**
 * The whole platform in this process: the same services as in the container, with real nodes and
 * tasks as processes of this machine. For suites where no container engine is.
 */
export class ServerlessAiTwin extends TwinBuilder<StartedServerlessAiTwin> {
  #log: 'memory' | 'sqlite' = 'memory'

  /** `memory` (default), or `sqlite`: on the disk, as the container has it. */
  withLog(kind: 'memory' | 'sqlite'): this {
    this.#log = kind
    return this
  }

  withClock(clock: 'real'): this
  /**
   * Virtual time (`advanceClock`): hours pass in seconds, and the same seed is the same run.
   * Services, agents and supervisors are the real ones; log, network and processes are simulated: a
   * task is a command of `commandOf`, workspaces and task logs are not there.
   */
  withClock(clock: 'virtual'): ServerlessAiVirtualTwin
  withClock(clock: 'real' | 'virtual'): this | ServerlessAiVirtualTwin {
    return clock === 'real' ? this : new ServerlessAiVirtualTwin(this.settings)
  }

  /** `withClock('virtual').start()`. */
  startVirtual(): Promise<StartedVirtualTwin> {
    return this.withClock('virtual').start()
  }

  async start(): Promise<StartedServerlessAiTwin> {
    const { settings } = this
    const dataDir = mkdtempSync(join(baseOf(settings), 'sai-twin-'))
    // Tasks run as other users: they must get through to their own directories.
    chmodSync(dataDir, 0o711)
    const nodeIds = nodeIdsOf(settings)
    const lines: string[] = []
    const say = (line: string): void => {
      lines.push(line)
      if (lines.length > LINES_KEPT) lines.shift()
    }
    let opened: Opened | undefined
    try {
      const config = allInOneConfig.parse({
        port: await freePorts(2),
        taskPortFirst: await freePorts(Math.max(1, nodeIds.length) * TASK_PORTS),
        ...configOf(settings),
        data: dataDir,
      })
      const tokens = tokensFile(settings)
      if (tokens !== undefined) writeFileSync(join(dataDir, 'tokens.json'), tokens, { mode: 0o600 })
      opened = await this.#open(config, nodeIds)
      const running = await startPlatform(config, { say }, { opened })
      const { admin, tenants } = opened.credentials
      const target = `127.0.0.1:${config.port}`
      const ground = {
        target,
        targetOf: () => target,
        topicPrefix: '',
        tokens: { admin, 'team-a': tenants['team-a'] ?? '', 'team-b': tenants['team-b'] ?? '' },
        nodeIds,
        retries: settings.retries,
        without: settings.without,
        timers: systemTimers,
        signalNode: async (nodeId: string, signal: NodeSignal) =>
          signalLocalNode({ dataDir, nodeId }, signal),
        lastLines: async () => lines.join('\n'),
      }
      return new StartedServerlessAiTwin(ground, { running, dataDir })
    } catch (error) {
      // What has started closes it as well: closing twice is no failure of its own.
      const close = () => opened?.options.eventLog.close().catch(() => undefined)
      return endAfter(error, [close, () => rmSync(dataDir, { recursive: true, force: true })])
    }
  }

  async #open(config: ReturnType<typeof allInOneConfig.parse>, nodes: readonly string[]) {
    const ports = systemPorts('all-in-one', config.logLevel)
    const services = servicesWithout(config.without)
    const base = { config, ports, services, nodes, peers: {}, required: [] }
    const opened = await openPlatform({ ...base, tenants: QUICKSTART_TENANTS })
    if (this.#log === 'sqlite') return opened
    await opened.options.eventLog.close()
    const eventLog = openMemoryLog({ ports })
    return { ...opened, options: { ...opened.options, eventLog } }
  }
}

/** The platform on virtual time, before it starts; what it writes is in memory anyway. */
export class ServerlessAiVirtualTwin extends TwinBuilder<StartedVirtualTwin> {
  withClock(clock: 'virtual'): this
  withClock(clock: 'real'): ServerlessAiTwin
  withClock(clock: 'real' | 'virtual'): this | ServerlessAiTwin {
    return clock === 'virtual' ? this : new ServerlessAiTwin(this.settings)
  }

  start(): Promise<StartedVirtualTwin> {
    return startVirtual(this.settings)
  }
}

type Opened = Awaited<ReturnType<typeof openPlatform>>

/** A directory in memory, where there is one and it is wanted. */
function baseOf({ tmpfs }: Pick<Settings, 'tmpfs'>): string {
  if (!tmpfs) return tmpdir()
  try {
    accessSync(MEMORY_DIRECTORY, constants.W_OK | constants.X_OK)
    return MEMORY_DIRECTORY
  } catch {
    return tmpdir()
  }
}

/** A twin that runs. */
export class StartedServerlessAiTwin extends PlatformHandle implements TestPlatform {
  readonly #running: RunningPlatform
  readonly #dataDir: string
  readonly #onExit: () => void
  #stopping: Promise<void> | undefined

  /** @internal */
  constructor(ground: Ground, init: { running: RunningPlatform; dataDir: string }) {
    super(ground)
    this.#running = init.running
    this.#dataDir = init.dataDir
    // Nodes are processes of their own: they must not outlive a test run that is torn down.
    this.#onExit = () => {
      for (const nodeId of ground.nodeIds) {
        const node = { dataDir: init.dataDir, nodeId }
        signalLocalNode(node, { name: 'KILL', whom: 'all' })
      }
    }
    process.once('exit', this.#onExit)
  }

  /** Where logs, tokens and nodes of this platform are, until it is stopped. */
  get dataDir(): string {
    return this.#dataDir
  }

  /** Ends tasks, nodes and services, in that order, and removes the data. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stopRunning(): Promise<void> {
    try {
      await this.#running.stop()
    } catch (error) {
      // Nodes that it has left would never end: what says who they are is removed next.
      this.#onExit()
      throw error
    }
  }

  async #stop(): Promise<void> {
    await endAll([
      () => this.release(),
      () => this.#stopRunning(),
      () => process.removeListener('exit', this.#onExit),
      () => rmSync(this.#dataDir, { recursive: true, force: true }),
    ])
  }
}

/** Signals the processes of a node of this machine; those that are gone already are left out. */
function signalLocalNode(
  node: { readonly dataDir: string; readonly nodeId: string },
  { name, whom }: NodeSignal,
): void {
  const { record } = localNodeStatus(node)
  if (record === undefined) return
  const pids = whom === 'all' ? [record.agentPid, record.pid] : [record.pid]
  for (const pid of pids.filter((one) => one > 0)) {
    try {
      process.kill(pid, `SIG${name}`)
    } catch {
      // It has ended by itself.
    }
  }
}
