import type { Ports, Timer } from '@serverless-ai/kernel'
import {
  type LocalNodeConfig,
  localNodeStatus,
  startLocalNode,
  stopLocalNode,
} from '@serverless-ai/node-agent'
import { type AllInOneConfig, nodeIdsOf, TASK_PORTS_PER_NODE } from './config.ts'

/** How often supervisors are looked after, ms. */
const WATCH_EVERY_MS = 1_000
/** A supervisor that dies again and again is started ever more slowly, ms. */
const RESTART_MAX_MS = 30_000

/** Configurations of the local nodes. */
export function localNodeConfigs(init: {
  config: AllInOneConfig
  dataDir: string
  tokens: Readonly<Record<string, string>>
}): readonly LocalNodeConfig[] {
  const { config, dataDir, tokens } = init
  const { devicesPerNode: count, deviceModel: model, deviceMemoryMib: memoryMib } = config
  return nodeIdsOf(config).map((nodeId, index) => {
    const portFirst = config.taskPortFirst + index * TASK_PORTS_PER_NODE
    return {
      nodeId,
      dataDir,
      poolAddress: `127.0.0.1:${config.port}`,
      token: tokens[nodeId] ?? '',
      emulated: count === 0 ? [] : [{ count, model, memoryMib }],
      portFirst,
      portLast: portFirst + TASK_PORTS_PER_NODE - 1,
      labels: { local: 'true' },
    }
  })
}

/** The local nodes of this process: started or adopted, looked after, and ended with it. */
export class LocalNodes {
  readonly #ports: Ports
  readonly #configs: readonly LocalNodeConfig[]
  readonly #restartAtMs = new Map<string, { atMs: number; backoffMs: number }>()
  #timer: Timer | undefined
  #stopped = false

  constructor(ports: Ports, configs: readonly LocalNodeConfig[]) {
    this.#ports = ports
    this.#configs = configs
  }

  /** Starts supervisors that do not run; takes over those that do. */
  async start(): Promise<{ readonly adopted: number; readonly notice: string }> {
    const nodes = await Promise.all(this.#configs.map(startLocalNode))
    this.#watch()
    const adopted = nodes.filter((node) => node.adopted).length
    return { adopted, notice: nodes[0]?.notice ?? '' }
  }

  /** Ends tasks, agents and supervisors, in that order. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await Promise.all(this.#configs.map(stopLocalNode))
  }

  #watch(): void {
    if (this.#stopped) return
    this.#timer = this.#ports.timers.after(WATCH_EVERY_MS, () => {
      void this.#mend().finally(() => this.#watch())
    })
  }

  async #mend(): Promise<void> {
    const now = this.#ports.clock.monotonicMs()
    for (const config of this.#configs) {
      if (this.#stopped || localNodeStatus(config).state === 'running') continue
      const last = this.#restartAtMs.get(config.nodeId)
      if (last !== undefined && now < last.atMs) continue
      const backoffMs = Math.min(RESTART_MAX_MS, (last?.backoffMs ?? WATCH_EVERY_MS) * 2)
      this.#restartAtMs.set(config.nodeId, { atMs: now + backoffMs, backoffMs })
      this.#ports.logger.log('warn', 'supervisor is gone, starting it anew', {
        node: config.nodeId,
      })
      await startLocalNode(config).catch((error: unknown) => {
        this.#ports.logger.log('error', 'supervisor cannot be started', { error })
      })
    }
  }
}
