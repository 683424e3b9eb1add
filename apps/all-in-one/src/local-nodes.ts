import type { Ports, Timer } from '@serverless-ai/kernel'
import {
  type LocalNodeConfig,
  localNodeStatus,
  runningLocalNodes,
  startLocalNode,
  stopLocalNode,
} from '@serverless-ai/node-agent'
import { type AllInOneConfig, nodeIdsOf, TASK_PORTS_PER_NODE } from './config.ts'
import { Restarts } from './restarts.ts'

/** How often supervisors are looked after, ms. */
const WATCH_EVERY_MS = 1_000

/** Configurations of the local nodes. */
export function localNodeConfigs(init: {
  config: AllInOneConfig
  dataDir: string
  tokens: Readonly<Record<string, string>>
  /** Where the pool manager, the mediator and whoever takes measurements are. */
  addresses: { readonly pool: string; readonly workspaces: string; readonly telemetry: string }
}): readonly LocalNodeConfig[] {
  const { config, dataDir, tokens, addresses } = init
  const { devicesPerNode: count, deviceModel: model, deviceMemoryMib: memoryMib } = config
  const { deviceCpuMillis: cpuMillis } = config
  const bound = cpuMillis === undefined ? {} : { cpuMillis }
  return nodeIdsOf(config).map((nodeId, index) => {
    const portFirst = config.taskPortFirst + index * TASK_PORTS_PER_NODE
    return {
      nodeId,
      dataDir,
      poolAddress: addresses.pool,
      workspaceAddress: addresses.workspaces,
      telemetryAddress: addresses.telemetry,
      token: tokens[nodeId] ?? '',
      emulated: count === 0 ? [] : [{ count, model, memoryMib, ...bound }],
      portFirst,
      portLast: portFirst + TASK_PORTS_PER_NODE - 1,
      labels: { local: 'true' },
    }
  })
}

/** What a start came to. */
export interface LocalNodesStarted {
  /** Nodes whose supervisors ran already. */
  readonly adopted: number
  /** Ids of nodes that ran and are not configured any more: they were ended. */
  readonly dropped: readonly string[]
  /** One line for people, or empty. */
  readonly notice: string
}

/** The local nodes of this process: started or adopted, looked after, and ended with it. */
export class LocalNodes {
  readonly #ports: Ports
  readonly #configs: readonly LocalNodeConfig[]
  readonly #restarts = new Restarts()
  readonly #dataDir: string
  #timer: Timer | undefined
  /** Starts that are under way: one that is not waited for may come after the stop. */
  #starting: Promise<unknown> = Promise.resolve()
  #begun = false
  #stopped = false

  constructor(
    ports: Ports,
    init: { readonly dataDir: string; readonly configs: readonly LocalNodeConfig[] },
  ) {
    this.#ports = ports
    this.#configs = init.configs
    this.#dataDir = init.dataDir
  }

  /**
   * Starts supervisors that do not run; takes over those that do; ends those of nodes that are not
   * wanted any more.
   */
  async start(): Promise<LocalNodesStarted> {
    this.#begun = true
    const each = this.#configs.map(startLocalNode)
    this.#starting = Promise.allSettled(each)
    const nodes = await Promise.all(each)
    const wanted = new Set(this.#configs.map(({ nodeId }) => nodeId))
    const dropped = runningLocalNodes(this.#dataDir).filter((nodeId) => !wanted.has(nodeId))
    await this.#end(dropped)
    this.#watch()
    const adopted = nodes.filter((node) => node.adopted).length
    return { adopted, dropped, notice: nodes[0]?.notice ?? '' }
  }

  /**
   * Ends tasks, agents and supervisors of all nodes of the directory, in that order. Before `start`
   * nothing: what an earlier process left running is not this one's to end.
   */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    if (!this.#begun) return
    await this.#starting
    await this.#end(runningLocalNodes(this.#dataDir))
  }

  async #end(nodeIds: readonly string[]): Promise<void> {
    const dataDir = this.#dataDir
    await Promise.all(nodeIds.map((nodeId) => stopLocalNode({ dataDir, nodeId })))
  }

  #watch(): void {
    if (this.#stopped) return
    this.#timer = this.#ports.timers.after(WATCH_EVERY_MS, () => {
      this.#starting = this.#mend().finally(() => this.#watch())
    })
  }

  async #mend(): Promise<void> {
    const now = this.#ports.clock.monotonicMs()
    for (const config of this.#configs) {
      if (this.#stopped || localNodeStatus(config).state === 'running') continue
      if (!this.#restarts.mayStart(config.nodeId, now)) continue
      this.#ports.logger.log('warn', 'supervisor is gone, starting it anew', {
        node: config.nodeId,
      })
      await startLocalNode(config).catch((error: unknown) => {
        this.#ports.logger.log('error', 'supervisor cannot be started', { error })
      })
    }
  }
}
