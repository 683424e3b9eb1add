import { join } from 'node:path'
import { patient } from '../support/environment.ts'
import type { Platform } from '../support/platform.ts'
import { isAlive, type ProcessInfo, processes } from '../support/process-tree.ts'
import { until } from '../support/until.ts'
import { makeGap } from './gap.ts'
import { STALL_VARIABLE } from './moments.ts'
import { isNodeMoment, type Kill, nameOfKill, nodeIdOf } from './plan.ts'
import { giveOrder, isOrdered, withdrawOrder } from './trap.ts'

/** Every ordered moment comes about within this, or something is wrong. */
const MOMENT_TIMEOUT_MS = 120_000
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

  /** Starts the control plane unless it runs. It starts the nodes, or adopts those that run. */
  ensureUp(): void {
    if (this.#isUp) return
    this.#judgeEnd()
    this.#platform.spawn()
  }

  /** Resolves when all is ready again; what the last kill has hit may be found ended only now. */
  async back(timeoutMs: number): Promise<void> {
    this.ensureUp()
    await this.#platform.ready(timeoutMs).catch(async (error: unknown) => {
      if (this.#isUp) throw error
      this.ensureUp()
      await this.#platform.ready(timeoutMs)
    })
  }

  /** It ends by itself when one of its processes is killed while it starts them, and else never. */
  #judgeEnd(): void {
    const { child, output } = this.#platform
    const code = child?.exitCode ?? 0
    const words = output.slice(-2_000)
    if (code === 0 || words.includes('ended with SIGKILL')) return
    this.breaches.push(`the control plane ended with ${code}; last output:\n${words}`)
  }

  get #isUp(): boolean {
    const { child } = this.#platform
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /**
   * Kills as planned; resolves when it has happened, with the number of executions that ran on the
   * nodes before.
   */
  async strike(kill: Kill): Promise<number> {
    if (kill.at === 'moment') return this.#killAtMoment(kill)
    this.ensureUp()
    await new Promise((resolve) => setTimeout(resolve, kill.afterMs))
    const victims = await this.#victims(kill)
    const executions = this.#executions()
    for (const pid of victims) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself, or with its supervisor.
      }
    }
    if (victims.includes(this.#platform.pid)) await this.#platform.exited()
    await this.#gone(victims)
    return executions
  }

  /** Processes to kill at once; waits until those of the node are there. */
  async #victims(kill: RandomKill): Promise<readonly number[]> {
    const controlPlane = this.#oneOfControlPlane(kill)
    if (kill.target === 'control plane') return [controlPlane]
    const nodeId = nodeIdOf(kill)
    const { supervisor, agent } = await this.#alive(nodeId)
    switch (kill.target) {
      case 'agent':
        return [agent]
      case 'supervisor':
        return [supervisor]
      case 'agent and control plane':
        return [agent, controlPlane]
      case 'node':
        return this.#nodePids(nodeId)
      case 'machine':
        return [
          ...this.#platform.controlPlane,
          ...this.#platform.nodeIds().flatMap((id) => this.#nodePids(id)),
        ]
    }
  }

  /**
   * The process of the control plane that a kill means: the only one, or a replica of a service.
   * The one that looks after these goes with the whole machine only.
   */
  #oneOfControlPlane({ afterMs }: RandomKill): number {
    const running = this.#platform.processes.filter(({ pid }) => pid > 0 && isAlive(pid))
    return running[afterMs % Math.max(1, running.length)]?.pid ?? this.#platform.pid
  }

  /** Nothing that was killed is taken for running. */
  async #gone(victims: readonly number[]): Promise<void> {
    const what = 'what was killed to be gone'
    const gone = () => (victims.some(isAlive) ? undefined : true)
    await until(what, gone, { timeoutMs: 10_000, everyMs: 10 })
  }

  async #killAtMoment(order: OrderedKill): Promise<number> {
    const onNode = isNodeMoment(order.moment)
    const directory = onNode ? this.#nodeDir(nodeIdOf(order)) : this.#platform.dataDir
    if (order.moment === 'mid-bootstrap-page') await this.#makeGap()
    // It comes about at a start only.
    if (order.moment === 'claim-sent-unread') await this.#platform.kill()
    const executions = this.#executions()
    giveOrder(directory, order)
    this.ensureUp()
    const happened = () => {
      if (!isOrdered(directory)) return true
      const alone = this.#platform.processes.length === 0
      if (!onNode && alone && !this.#isUp) return true
      this.ensureUp()
      return undefined
    }
    const what = `${nameOfKill(order)} to come about`
    await until(what, happened, { timeoutMs: patient(MOMENT_TIMEOUT_MS) }).catch(() => undefined)
    if (isOrdered(directory)) {
      withdrawOrder(directory)
      const output = this.#platform.output.slice(-2_000)
      this.breaches.push(`${nameOfKill(order)} did not come about; last output:\n${output}`)
    } else if (!onNode && this.#platform.processes.length === 0) {
      await this.#platform.exited()
    }
    return executions
  }

  /** A control plane that is down, with a consumer whose mark points before its topic's start. */
  async #makeGap(): Promise<void> {
    await this.#platform.kill()
    this.#platform.spawn({ [STALL_VARIABLE]: 'scheduler' })
    this.breaches.push(...(await makeGap(this.#platform, 'scheduler')))
  }

  /** The processes of a node once both are there: they may be starting. */
  #alive(nodeId: string): Promise<{ supervisor: number; agent: number }> {
    return until(
      `supervisor and agent of ${nodeId} to run`,
      () => {
        this.ensureUp()
        const node = this.#platform.node(nodeId)
        return isAlive(node.supervisor) && isAlive(node.agent) ? node : undefined
      },
      { timeoutMs: patient(BACK_TIMEOUT_MS), everyMs: 10 },
    )
  }

  #nodeDir(nodeId: string): string {
    return join(this.#platform.dataDir, 'nodes', nodeId)
  }

  /** Supervisor, agent and tasks of a node. */
  #nodePids(nodeId: string): readonly number[] {
    const isOfNode = ({ command, environment }: ProcessInfo): boolean =>
      command.includes(`${this.#nodeDir(nodeId)}/config.json`) ||
      (environment.includes(this.#platform.dataDir) &&
        environment.includes(`SAI_NODE_ID=${nodeId}\0`))
    return processes()
      .filter(isOfNode)
      .map(({ pid }) => pid)
  }

  /** How many executions run on the nodes now. */
  #executions(): number {
    const markers = processes().flatMap(({ environment }) => {
      if (!environment.includes(this.#platform.dataDir)) return []
      return /(?:^|\0)SAI_EXECUTION=([^\0]*)/.exec(environment)?.[1] ?? []
    })
    return new Set(markers).size
  }
}
