import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  allInOneConfig,
  QUICKSTART_TENANTS,
  type RunningPlatform,
  startPlatform,
} from '@serverless-ai/all-in-one'
import { openMemoryLog } from '@serverless-ai/eventlog'
import { openPlatform, systemPorts } from '@serverless-ai/hosting'
import { systemTimers } from '@serverless-ai/kernel/system'
import { localNodeStatus } from '@serverless-ai/node-agent'
import { type Ground, type NodeSignal, PlatformHandle } from '../handle.ts'
import type { NodeShape, PlatformBuilder, TestPlatform } from '../platform.ts'
import { freePorts } from '../ports.ts'
import { configOf, defaultSettings, nodeIdsOf } from '../settings.ts'
import { type StartedVirtualTwin, startVirtual } from './virtual.ts'

/** Ports for tasks of one node. */
const TASK_PORTS = 100
const LINES_KEPT = 40

/**
 * The whole platform in this process: the same services as in the container, with real nodes and
 * tasks as processes of this machine. For suites where no container engine is.
 */
export class ServerlessAiTwin implements PlatformBuilder<StartedServerlessAiTwin> {
  readonly #settings = defaultSettings()
  #log: 'memory' | 'sqlite' = 'memory'
  #seed = 1

  /** `memory` (default), or `sqlite`: on the disk, as the container has it. */
  withLog(kind: 'memory' | 'sqlite'): this {
    this.#log = kind
    return this
  }

  withNodes(count: number, shape: NodeShape = {}): this {
    this.#settings.nodes = count
    this.#settings.shape = shape
    return this
  }

  withConfig(config: Readonly<Record<string, unknown>>): this {
    this.#settings.config = { ...this.#settings.config, ...config }
    return this
  }

  withRetriesDisabled(): this {
    this.#settings.retries = false
    return this
  }

  /** Of all chance on virtual time: the same seed is the same run. Default 1. */
  withSeed(seed: number): this {
    this.#seed = seed
    return this
  }

  /**
   * Starts it on virtual time (`advanceClock`): hours pass in seconds, and the same seed is the
   * same run. Services, agents and supervisors are the real ones; log, network and processes are
   * simulated: a task is a command of `commandOf`, workspaces and task logs are not there.
   */
  startVirtual(): Promise<StartedVirtualTwin> {
    return startVirtual(this.#settings, { seed: this.#seed })
  }

  async start(): Promise<StartedServerlessAiTwin> {
    const settings = this.#settings
    const dataDir = mkdtempSync(join(tmpdir(), 'sai-twin-'))
    // Tasks run as other users: they must get through to their own directories.
    chmodSync(dataDir, 0o711)
    const nodeIds = nodeIdsOf(settings)
    const lines: string[] = []
    const say = (line: string): void => {
      lines.push(line)
      if (lines.length > LINES_KEPT) lines.shift()
    }
    try {
      const config = allInOneConfig.parse({
        port: await freePorts(2),
        taskPortFirst: await freePorts(Math.max(1, nodeIds.length) * TASK_PORTS),
        ...configOf(settings),
        data: dataDir,
      })
      const opened = await this.#open(config, nodeIds)
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
        timers: systemTimers,
        signalNode: async (nodeId: string, signal: NodeSignal) =>
          signalLocalNode({ dataDir, nodeId }, signal),
        lastLines: async () => lines.join('\n'),
      }
      return new StartedServerlessAiTwin(ground, { running, dataDir })
    } catch (error) {
      rmSync(dataDir, { recursive: true, force: true })
      throw error
    }
  }

  async #open(config: ReturnType<typeof allInOneConfig.parse>, nodes: readonly string[]) {
    const ports = systemPorts('all-in-one', config.logLevel)
    const base = { config, ports, tenants: QUICKSTART_TENANTS, nodes, peers: {}, required: [] }
    const opened = await openPlatform(base)
    if (this.#log === 'sqlite') return opened
    await opened.options.eventLog.close()
    const eventLog = openMemoryLog({ ports })
    return { ...opened, options: { ...opened.options, eventLog } }
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

  async #stop(): Promise<void> {
    await this.release()
    await this.#running.stop()
    process.removeListener('exit', this.#onExit)
    rmSync(this.#dataDir, { recursive: true, force: true })
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
