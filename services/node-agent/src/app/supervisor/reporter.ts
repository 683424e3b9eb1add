import { type ExecutionKey, keyText } from '../../core/keys.ts'
import { type NodeState, statusesOf } from '../../core/node.ts'
import {
  acknowledge,
  newOutbox,
  nextReport,
  type Outbox,
  type Report,
  type TaskReport,
} from '../../core/outbox.ts'
import type { ExecutionStatus } from '../../core/types.ts'
import type { ReportLines } from './node-host.ts'

/** Lines of one report stay below this, bytes; a message may have 4 MiB. */
const LINES_MAX_BYTES = 1024 * 1024

/** Makes the reports of a supervisor session: states of executions and lines of report files. */
export class Reporter {
  private readonly state: NodeState
  private readonly outbox: Outbox = newOutbox()
  private readonly tails = new Map<string, ReportLines>()
  private readonly offered = new Set<ReportLines>()

  constructor(state: NodeState) {
    this.state = state
  }

  /** Follows the report file of an execution. */
  follow(key: ExecutionKey, tail: ReportLines): void {
    this.tails.set(keyText(key), tail)
    this.outbox.dirty = true
  }

  /** The execution has ended: the rest of its file is reported, then its end. */
  ended(key: ExecutionKey): void {
    this.tails.get(keyText(key))?.end()
    this.outbox.dirty = true
  }

  /** The execution is not held any more. */
  forget(key: ExecutionKey): void {
    this.tails.delete(keyText(key))
  }

  /** Something is to be reported. */
  touch(): void {
    this.outbox.dirty = true
  }

  /** Looks for new lines; true while there is a task whose file may grow. */
  poll(): boolean {
    for (const tail of this.tails.values()) if (tail.hasMore()) this.outbox.dirty = true
    return this.tails.size > 0
  }

  /** The report that waits for its acknowledgement. */
  get inFlight(): Report | undefined {
    return this.outbox.inFlight
  }

  /** True when everything that happened has been reported and acknowledged. */
  get settled(): boolean {
    return this.outbox.inFlight === undefined && !this.outbox.dirty
  }

  /** A new report to send, if there is something to say and none is in flight. */
  next(): Report | undefined {
    return nextReport(this.outbox, () => {
      const taskReports = this.lines()
      const executions = statusesOf(this.state).map((status) => this.visible(status))
      return { executions, taskReports, applied: this.state.journal }
    })
  }

  private lines(): TaskReport[] {
    const found: TaskReport[] = []
    let bytes = 0
    for (const held of this.state.held.values()) {
      const tail = this.tails.get(keyText(held.key))
      if (tail === undefined || bytes >= LINES_MAX_BYTES) continue
      for (const { line, json } of tail.offer()) {
        found.push({ key: held.key, line, json })
        bytes += json.length
      }
      this.offered.add(tail)
    }
    return found
  }

  /** An end is shown only when all lines before it are in this report or were acknowledged. */
  private visible(status: ExecutionStatus): ExecutionStatus {
    const tail = this.tails.get(keyText(status.key))
    if (status.state !== 'EXITED' || tail?.hasUnoffered() !== true) return status
    this.outbox.dirty = true
    return { ...status, state: 'STOPPING', exit: null }
  }

  /** Takes an acknowledgement of the agent. */
  acknowledged(number: number): void {
    if (!acknowledge(this.outbox, number)) return
    for (const tail of this.offered) tail.accept()
    this.offered.clear()
    this.poll()
    for (const [text, tail] of this.tails) {
      const ended = this.state.held.get(text)?.phase.at === 'exited'
      if (ended && !tail.hasMore()) this.tails.delete(text)
    }
  }
}
