import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { DesiredTask } from '../core/desired.ts'
import {
  type ExecutionKey,
  executionKey,
  type ReportedExecution,
  type ReportedLine,
  type TaskExit,
} from '../core/model.ts'

/** A process, as it really is. */
interface Process {
  readonly key: ExecutionKey
  state: 'RUNNING' | 'STOPPING' | 'EXITED'
  startedMs: number
  exit: TaskExit | null
  lines: number
}

/** A report on its way, as the agent wrote it. */
export interface WalkReport {
  readonly session: string
  readonly number: number
  readonly appliedRevision: number
  readonly executions: readonly ReportedExecution[]
  readonly lines: readonly ReportedLine[]
}

/** A desired set on its way. */
export interface WalkDesired {
  readonly revision: number
  readonly tasks: readonly DesiredTask[]
  readonly forget: readonly ExecutionKey[]
}

/** What really happened, over all nodes: the walk's checks compare the core with it. */
export class Truth {
  /** Execution → node it was started on. */
  readonly startedOn = new Map<string, string>()
  /** Executions whose process is alive. */
  readonly alive = new Set<string>()

  start(key: ExecutionKey, nodeId: string): void {
    const id = executionKey(key)
    const before = this.startedOn.get(id)
    if (before !== undefined) throw new Error(`${id} started on ${nodeId} and before on ${before}`)
    this.startedOn.set(id, nodeId)
    this.alive.add(id)
  }
}

/**
 * A node with its supervisor and agent: applies desired sets late, reports late, sometimes twice.
 */
export class WalkNode {
  readonly nodeId: string
  session = ''
  connected = false
  readonly #truth: Truth
  readonly #random: SeededRandomness
  readonly #processes = new Map<string, Process>()
  /** Markers on the node's disk: what was started once is never started again. */
  readonly #markers = new Set<string>()
  #inbox: WalkDesired[] = []
  #applied = 0
  #number = 0
  #sessions = 0
  /** Reports written and not acknowledged; also kept for copies. */
  readonly unacknowledged: WalkReport[] = []

  constructor(init: { nodeId: string; truth: Truth; random: SeededRandomness }) {
    this.nodeId = init.nodeId
    this.#truth = init.truth
    this.#random = init.random
  }

  /** A new supervisor: everything of the older one is dead. */
  restartSupervisor(planned: boolean, atMs: number): void {
    this.#sessions += 1
    this.session = `${this.nodeId}-s${this.#sessions}`
    this.connected = false
    this.#inbox = []
    this.#applied = 0
    this.#number = 0
    this.unacknowledged.length = 0
    for (const process of this.#processes.values()) {
      if (process.state !== 'EXITED')
        this.#end(process, planned ? 'NODE_SHUTDOWN' : 'SUPERVISOR_LOST', atMs)
    }
  }

  disconnect(): void {
    this.connected = false
    this.#inbox = []
    this.#applied = 0
  }

  deliver(desired: WalkDesired): void {
    // The newest set replaces those that wait.
    this.#inbox = [desired]
  }

  /** Applies a set that has arrived. */
  apply(atMs: number): void {
    const desired = this.#inbox.shift()
    if (desired === undefined) return
    const wanted = new Set(desired.tasks.map((task) => executionKey(task.key)))
    for (const task of desired.tasks) this.#startOnce(task.key, atMs)
    for (const [id, process] of this.#processes) {
      if (!wanted.has(id) && process.state === 'RUNNING') process.state = 'STOPPING'
    }
    for (const key of desired.forget) {
      if (this.#processes.get(executionKey(key))?.state === 'EXITED') {
        this.#processes.delete(executionKey(key))
      }
    }
    this.#applied = desired.revision
  }

  #startOnce(key: ExecutionKey, atMs: number): void {
    const id = executionKey(key)
    if (this.#markers.has(id)) return
    this.#markers.add(id)
    this.#truth.start(key, this.nodeId)
    this.#processes.set(id, { key, state: 'RUNNING', startedMs: atMs, exit: null, lines: 0 })
  }

  /** Something happens to a process: it writes lines, ends by itself or as asked. */
  stir(atMs: number): ReportedLine[] {
    const lines: ReportedLine[] = []
    for (const process of this.#processes.values()) {
      if (process.state === 'RUNNING' && this.#random.chance(0.5)) {
        for (let i = this.#random.int(4); i > 0; i -= 1) lines.push(this.#line(process))
      }
      if (process.state === 'RUNNING' && this.#random.chance(0.1))
        this.#end(process, 'EXITED', atMs)
      if (process.state === 'STOPPING' && this.#random.chance(0.5)) {
        this.#end(process, 'STOPPED', atMs)
      }
    }
    return lines
  }

  #line(process: Process): ReportedLine {
    process.lines += 1
    const kind = this.#random.pick(['progress', 'progress', 'checkpoint', 'result', 'other'])
    return {
      key: process.key,
      line: process.lines,
      json: JSON.stringify({ kind, n: process.lines, path: '/c' }),
    }
  }

  #end(process: Process, cause: TaskExit['cause'], atMs: number): void {
    process.state = 'EXITED'
    process.exit = { cause, exitCode: cause === 'EXITED' ? 0 : -1, signal: '', message: '', atMs }
    this.#truth.alive.delete(executionKey(process.key))
  }

  writeReport(lines: readonly ReportedLine[]): void {
    this.#number += 1
    this.unacknowledged.push({
      session: this.session,
      number: this.#number,
      appliedRevision: this.#applied,
      executions: [...this.#processes.values()].map((process) => this.#status(process)),
      lines,
    })
  }

  /** An end is told a report later when there are lines to be told before. */
  #status({ key, state, startedMs, exit }: Process): ReportedExecution {
    const hidden = state === 'EXITED' && this.#random.chance(0.1)
    return hidden
      ? { key, state: 'STOPPING', startedMs, exit: null }
      : { key, state, startedMs, exit }
  }

  /** Ended executions of the report that the pool has recorded: it would ask to forget them. */
  ended(): readonly ExecutionKey[] {
    return [...this.#processes.values()].filter((p) => p.state === 'EXITED').map((p) => p.key)
  }
}
