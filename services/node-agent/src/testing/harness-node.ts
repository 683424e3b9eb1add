import { TaskExit_Cause } from '@serverless-ai/contracts/pool/v1/pool'
import { type LocalNode, type LocalNodeConfig, stopLocalNode } from '../app/local/local-nodes.ts'
import { makeDataDir, removeDataDir, STATE, startNode, taskKey } from './harness.ts'
import { ScriptedPool } from './scripted-pool.ts'

/** Causes by name, for assertions. */
export const CAUSE = TaskExit_Cause

/** A node `n1` with its scripted pool manager, on a data directory of its own. */
export class TestNode {
  readonly dataDir = makeDataDir()
  readonly pool = new ScriptedPool()

  static async create(): Promise<TestNode> {
    const node = new TestNode()
    await node.pool.listen()
    return node
  }

  start(change: Partial<LocalNodeConfig> = {}): Promise<LocalNode> {
    return startNode(this.dataDir, this.pool, change)
  }

  /** Ends everything. */
  async dispose(): Promise<void> {
    await stopLocalNode({ dataDir: this.dataDir, nodeId: 'n1' })
    await this.pool.close()
    removeDataDir(this.dataDir)
  }

  /** Resolves with the status when the execution runs. */
  running(key = taskKey()) {
    return this.pool.until('it runs', () => {
      const status = this.pool.status(key)
      return status?.state === STATE.RUNNING && status
    })
  }

  /** Resolves with the exit when the execution has ended. */
  exited(key = taskKey(), timeoutMs = 20_000) {
    const find = () => {
      const status = this.pool.status(key)
      return status?.state === STATE.EXITED && status.exit
    }
    return this.pool.until('it has ended', find, timeoutMs)
  }

  /** Text of a log that is read to its end. */
  async log(key = taskKey(), options: { tailLines?: number; follow?: boolean } = {}) {
    const id = this.pool.askLog(key, options)
    const find = () => this.pool.logs.get(id)?.ended && this.pool.logs.get(id)
    const log = await this.pool.until('the log has ended', find, 60_000)
    if (log.error !== '') throw new Error(log.error)
    return log.text
  }
}
