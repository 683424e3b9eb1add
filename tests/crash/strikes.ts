import { join } from 'node:path'
import type { Platform } from '../support/platform.ts'
import { isAlive, processes } from '../support/process-tree.ts'
import { until } from '../support/until.ts'
import { makeGap } from './gap.ts'
import { STALL_VARIABLE } from './moments.ts'
import { isNodeMoment, type Kill, NODES, nameOfKill, nodeIdOf } from './plan.ts'
import { giveOrder, isOrdered, withdrawOrder } from './trap.ts'

/** Every ordered moment comes about within this, or something is wrong. */
const MOMENT_TIMEOUT_MS = 60_000
/** Longest back-off of a supervisor or an agent that died again and again, and its start. */
const BACK_TIMEOUT_MS = 45_000

type RandomKill = Extract<Kill, { at: 'random' }>
type OrderedKill = Extract<Kill, { at: 'moment' }>

/** Carries out kills on a running platform; whatever is down, it starts as its users would. */
export class Strikes {
  readonly breaches: string[] = []
  readonly #platform: Platform

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /** Kills as planned; returns how many processes of tasks there were right before. */
  async strike(kill: Kill): Promise<number> {
    return kill.at === 'random' ? this.#killAtRandom(kill) : this.#killAtMoment(kill)
  }

  /** Starts the control plane unless it runs. It starts the nodes, or adopts those that run. */
  ensureUp(): void {
    const { child } = this.#platform
    const runs = child !== undefined && child.exitCode === null && child.signalCode === null
    if (!runs) this.#platform.spawn()
  }

  async #killAtRandom({ target, afterMs, ...kill }: RandomKill): Promise<number> {
    this.ensureUp()
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    const nodeId = nodeIdOf({ target, afterMs, ...kill })
    const all = Array.from({ length: NODES }, (_, index) => `n${index + 1}`)
    const tasks = this.#taskPids()
    switch (target) {
      case 'control plane':
        await this.#platform.kill()
        break
      case 'agent':
        signalAll([(await this.#alive(nodeId)).agent])
        break
      case 'supervisor':
        signalAll([(await this.#alive(nodeId)).supervisor])
        break
      case 'agent and control plane':
        signalAll([(await this.#alive(nodeId)).agent, this.#platform.pid])
        break
      case 'node':
        await this.#alive(nodeId)
        signalAll(this.#pidsOf([nodeId]))
        break
      case 'machine':
        await this.#alive(nodeId)
        signalAll([this.#platform.pid, ...this.#pidsOf(all)])
    }
    const withControlPlane = target === 'agent and control plane' || target === 'machine'
    if (withControlPlane) await this.#platform.exited()
    return tasks.length
  }

  async #killAtMoment(order: OrderedKill): Promise<number> {
    const onNode = isNodeMoment(order.moment)
    const directory = onNode ? this.#nodeDir(nodeIdOf(order)) : this.#platform.dataDir
    if (order.moment === 'mid-bootstrap-page') this.breaches.push(...(await this.#makeGap()))
    // It comes about at a start only.
    if (order.moment === 'claim-sent-unread') await this.#platform.kill()
    giveOrder(directory, order)
    this.ensureUp()
    const what = `${nameOfKill(order)} to come about`
    try {
      await until(what, () => (isOrdered(directory) ? undefined : true), {
        timeoutMs: MOMENT_TIMEOUT_MS,
      })
    } catch (error) {
      withdrawOrder(directory)
      this.breaches.push(`${String(error)}; last output:\n${this.#lastOutput()}`)
      return 0
    }
    if (!onNode) {
      await this.#platform.exited()
      const { signalCode } = this.#platform.child ?? {}
      if (signalCode !== 'SIGKILL') this.breaches.push(`${what}: ended with ${signalCode} instead`)
    }
    return this.#taskPids().length
  }

  /** A consumer's mark that points before the start of the topic it reads. */
  async #makeGap(): Promise<string[]> {
    await this.#platform.kill()
    this.#platform.spawn({ [STALL_VARIABLE]: 'scheduler' })
    return makeGap(this.#platform, 'scheduler')
  }

  #lastOutput(): string {
    return this.#platform.output.slice(-2_000)
  }

  #nodeDir(nodeId: string): string {
    return join(this.#platform.dataDir, 'nodes', nodeId)
  }

  /** The processes of a node once both are there: they may be starting. */
  #alive(nodeId: string): Promise<{ supervisor: number; agent: number }> {
    return until(
      `supervisor and agent of ${nodeId} to run`,
      () => {
        const node = this.#platform.node(nodeId)
        return isAlive(node.supervisor) && isAlive(node.agent) ? node : undefined
      },
      { timeoutMs: BACK_TIMEOUT_MS, everyMs: 10 },
    )
  }

  #taskPids(): readonly number[] {
    const { dataDir } = this.#platform
    return processes()
      .filter(({ environment }) => environment.includes('SAI_JOB_ID='))
      .filter(({ environment }) => environment.includes(dataDir))
      .map(({ pid }) => pid)
  }

  /** Supervisors, agents and tasks of nodes. */
  #pidsOf(nodeIds: readonly string[]): readonly number[] {
    const { dataDir } = this.#platform
    return processes()
      .filter(({ command, environment }) => {
        const ofTask = environment.includes(dataDir)
        return nodeIds.some(
          (nodeId) =>
            command.includes(`${this.#nodeDir(nodeId)}/config.json`) ||
            (ofTask && environment.includes(`SAI_NODE_ID=${nodeId}\0`)),
        )
      })
      .map(({ pid }) => pid)
  }
}

function signalAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself, or with its supervisor.
    }
  }
}
