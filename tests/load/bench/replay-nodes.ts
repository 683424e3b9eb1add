import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { PoolRuntime } from '@serverless-ai/pool-manager'
import type { ReplayPlatform } from './replay-platform.ts'

type Command = Parameters<PoolRuntime['execute']>[0]
type Report = Extract<Command, { type: 'ReportExecutions' }>
type Event = Parameters<Parameters<PoolRuntime['onEffective']>[0]>[0]['events'][number]
type Execution = Report['executions'][number]
type Key = Execution['key']
type Exit = NonNullable<Execution['exit']>
type Grant = Extract<Command, { type: 'TakeGrant' }>['grant']

/** How often a node looks at the report files of its tasks, ms: as the supervisor does. */
const POLL_MS = 250
/** A progress line of each task so often, ms. */
const PROGRESS_MS = 1_000
/** A checkpoint line of rank 0 every so many progress lines. */
const CHECKPOINT_EVERY = 5
/** Shortest and longest life of a task, ms. */
const LIFE_MS = [10_000, 30_000] as const
/** Share of the tasks that end with exit code 1; another one ends by SIGKILL as often. */
const FAIL_SHARE = 0.004

interface Task {
  readonly key: Key
  readonly startedMs: number
  readonly endsMs: number
  /** How it will end, unless it is stopped before. */
  readonly end: Omit<Exit, 'atMs'>
  nextLineMs: number
  lines: number
  exit: Exit | null
}

const idOf = ({ jobId, gang, generation, rank }: Key): string =>
  `${jobId}/${gang}/${generation}/${rank}`
const exited = (exitCode: number, signal: string): Omit<Exit, 'atMs'> => ({
  cause: 'EXITED',
  exitCode,
  signal,
  message: signal === '' ? `the process ended with code ${exitCode}` : `was ended by ${signal}`,
})

/** A node as the pool manager's log sees it: its registration and its reports. */
class BenchNode {
  readonly #platform: ReplayPlatform
  readonly #random: SeededRandomness
  readonly nodeId: string
  readonly #tasks = new Map<string, Task>()
  #number = 0
  #dirty = true
  #stopped = false

  constructor(platform: ReplayPlatform, nodeId: string) {
    this.#platform = platform
    this.nodeId = nodeId
    this.#random = platform.ports.randomness.fork()
  }

  async register(devices: number): Promise<void> {
    const { nodeId } = this
    const device = (index: number) => ({
      index,
      uuid: `emulated-${nodeId}-${index}`,
      model: 'emulated/A100-40G',
      memoryMib: 40_960,
      emulated: true,
      healthy: true,
    })
    await this.#platform.pool.execute({
      type: 'RegisterNode',
      nodeId,
      supervisorSession: `session-of-${nodeId}`,
      inventory: {
        cpuMillis: devices * 1_000,
        memoryMib: devices * 1_024,
        devices: Array.from({ length: devices }, (_, index) => device(index)),
        address: '127.0.0.1',
        portFirst: 20_000,
        portLast: 29_999,
        labels: {},
        agentVersion: 'bench',
        isolation: 'none',
      },
      clockSkewMs: 0,
      leaseMs: 15_000,
    })
    const { timers } = this.#platform.ports
    timers.after(this.#random.int(POLL_MS), () => void this.#poll())
  }

  start(key: Key): void {
    const nowMs = this.#platform.ports.time.wallMs()
    const { int, float } = this.#random
    const dice = float()
    const failure = dice < FAIL_SHARE ? exited(1, '') : exited(-1, 'SIGKILL')
    this.#tasks.set(idOf(key), {
      key,
      startedMs: nowMs,
      endsMs: nowMs + LIFE_MS[0] + int(LIFE_MS[1] - LIFE_MS[0]),
      end: dice < 2 * FAIL_SHARE ? failure : exited(0, ''),
      nextLineMs: nowMs + int(PROGRESS_MS),
      lines: 0,
      exit: null,
    })
    this.#dirty = true
  }

  /** Stops what runs of a gang up to a generation. */
  release(gang: { jobId: string; gang: number; throughGeneration: number }): void {
    for (const task of this.#tasks.values()) {
      const { jobId, gang: number, generation } = task.key
      if (jobId !== gang.jobId || number !== gang.gang) continue
      if (generation > gang.throughGeneration || task.exit !== null) continue
      const message = 'the process was ended by SIGTERM; it was no longer wanted'
      const atMs = this.#platform.ports.time.wallMs()
      task.exit = { cause: 'STOPPED', exitCode: -1, signal: 'SIGTERM', message, atMs }
      this.#dirty = true
    }
  }

  stop(): void {
    this.#stopped = true
  }

  async #poll(): Promise<void> {
    if (this.#stopped) return
    const { pool, ports } = this.#platform
    const lines = this.#lines(ports.time.wallMs())
    if (this.#dirty || lines.length > 0) {
      this.#dirty = false
      this.#number += 1
      const executions = [...this.#tasks.values()].map(statusOf)
      const { value: appliedRevision } = await pool.read(
        (state) => state.nodes.get(this.nodeId)?.desiredRevision ?? 0,
      )
      await pool.execute({
        type: 'ReportExecutions',
        nodeId: this.nodeId,
        supervisorSession: `session-of-${this.nodeId}`,
        number: this.#number,
        appliedRevision,
        executions,
        lines,
      })
      for (const { key, exit } of executions) if (exit !== null) this.#tasks.delete(idOf(key))
    }
    ports.timers.after(POLL_MS, () => void this.#poll())
  }

  #lines(nowMs: number): Report['lines'] {
    const found: Report['lines'][number][] = []
    for (const task of this.#tasks.values()) {
      if (task.exit !== null) continue
      while (task.nextLineMs <= Math.min(nowMs, task.endsMs)) {
        task.nextLineMs += PROGRESS_MS
        found.push(this.#line(task))
      }
      if (task.endsMs > nowMs) continue
      task.exit = { ...task.end, atMs: task.endsMs }
      this.#dirty = true
    }
    return found
  }

  #line(task: Task): Report['lines'][number] {
    task.lines += 1
    const { key, lines: step } = task
    const path = `${key.jobId}/gen-${key.generation}/step-${step}.ckpt`
    const json =
      key.rank === 0 && step % CHECKPOINT_EVERY === 0
        ? { kind: 'checkpoint', step, path, bytes: 71_184 }
        : { kind: 'progress', step, totalSteps: 30, loss: this.#random.float() }
    return { key, line: step, json: JSON.stringify(json) }
  }
}

function statusOf({ key, startedMs, exit }: Task): Execution {
  return { key, state: exit === null ? 'RUNNING' : 'EXITED', startedMs, exit }
}

/** Nodes that start what the pool manager assigns, and let some of it fail. */
export class BenchNodes {
  readonly #nodes = new Map<string, BenchNode>()
  readonly #grants = new Map<string, Grant>()

  private constructor(platform: ReplayPlatform, count: number) {
    for (let i = 1; i <= count; i += 1) {
      this.#nodes.set(`n${i}`, new BenchNode(platform, `n${i}`))
    }
    platform.pool.onEffective(({ events }) => {
      for (const event of events) this.#on(event)
    })
  }

  static async start(
    platform: ReplayPlatform,
    init: { count: number; devices: number },
  ): Promise<BenchNodes> {
    const nodes = new BenchNodes(platform, init.count)
    const registered = [...nodes.#nodes.values()].map((node) => node.register(init.devices))
    await platform.run(Promise.all(registered))
    return nodes
  }

  stop(): void {
    for (const node of this.#nodes.values()) node.stop()
  }

  #on(event: Event): void {
    switch (event.type) {
      case 'GangGranted':
        this.#grants.set(idOf({ ...event.grant, rank: 0 }), event.grant)
        return
      case 'RanksAssigned': {
        const { jobId, gang, generation } = event
        const grant = this.#grants.get(idOf({ ...event, rank: 0 }))
        grant?.nodeOfRank.forEach((node, rank) => {
          const key = { jobId, gang, generation, rank }
          this.#nodes.get(grant.nodes[node] ?? '')?.start(key)
        })
        return
      }
      case 'GangReleased': {
        const id = idOf({ ...event, generation: event.throughGeneration, rank: 0 })
        for (const node of this.#grants.get(id)?.nodes ?? []) this.#nodes.get(node)?.release(event)
        this.#grants.delete(id)
      }
    }
  }
}
