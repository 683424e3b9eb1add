import type { Assignment, DesiredVersion, Hello } from '@serverless-ai/contracts/agent/v1/agent'
import type { TraceContext } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'
import { assignmentToProto, keyToProto } from '../adapters/to-proto.ts'
import { type DesiredTask, desiredSet } from '../core/desired.ts'
import { type ExecutionKey, hasEnded, type ReportedExecution } from '../core/model.ts'
import { findExecution, type PoolState } from '../core/state.ts'
import { LogStreams } from './log-streams.ts'
import { Outbox } from './outbox.ts'

/** Environment variable with the context of the trace that a task belongs to. */
const TRACEPARENT = 'TRACEPARENT'

/** Context of the trace of a task. */
export type TraceOf = (key: ExecutionKey) => TraceContext | undefined

/** Sets whose version is remembered until the agent says that it applied one. */
const VERSIONS_MAX = 256

/** Where a state stands in the log: the version of the desired sets derived from it. */
export interface StateVersion {
  readonly epoch: number
  readonly position: number
}

/** One agent's stream, as long as it lasts. Volatile: nothing here is state of the service. */
export class AgentSession {
  readonly nodeId: string
  readonly supervisorSession: string
  readonly outbox = new Outbox()
  readonly logs: LogStreams
  /** Monotonic time of activation, ms. */
  activeSinceMs = 0
  /** Registration in the log this stream stands for; 0 = none yet. */
  registration = 0
  /** True once the registration is effective: only then heartbeats are answered and sets sent. */
  active = false
  /** True once this stream brought a report. */
  reported = false
  /** Why it ended, for people. */
  endCause = ''
  #forget: readonly ExecutionKey[] = []
  #sentRevision = 0
  readonly #versions: { version: StateVersion; revision: number }[] = []

  readonly #traceOf: TraceOf

  /** `traceOf`: default no task belongs to any. */
  constructor(hello: Hello, traceOf: TraceOf = () => undefined) {
    this.#traceOf = traceOf
    this.nodeId = hello.nodeId
    this.supervisorSession = hello.supervisorSession
    this.logs = new LogStreams(hello.nodeId, this.outbox)
  }

  get closed(): boolean {
    return this.outbox.ended
  }

  /** Ends the stream. The first cause counts. */
  close(cause: string, error?: unknown): void {
    if (this.closed) return
    this.endCause = cause
    this.outbox.end(error)
    this.logs.close()
  }

  /** Sends the node's whole set if it is not the one that was sent last. */
  sendDesired(state: PoolState, version: StateVersion, options: { force: boolean }): void {
    const node = state.nodes.get(this.nodeId)
    if (node === undefined || node.supervisorSession !== this.supervisorSession) return
    if (!options.force && node.desiredRevision === this.#sentRevision) return
    this.#sentRevision = node.desiredRevision
    this.#versions.push({ version, revision: node.desiredRevision })
    if (this.#versions.length > VERSIONS_MAX) this.#versions.shift()
    this.outbox.setDesired({
      version: { epoch: BigInt(version.epoch), position: BigInt(version.position) },
      assignments: desiredSet(state, node).map((task) => this.#assignment(task)),
      forget: this.#forget.map(keyToProto),
    })
  }

  /** What the description says of the variable itself stands. */
  #assignment(task: DesiredTask): Assignment {
    const assignment = assignmentToProto(task)
    const context = this.#traceOf(task.key)
    if (context === undefined) return assignment
    return { ...assignment, env: { [TRACEPARENT]: context, ...assignment.env } }
  }

  /** Revision of the set the agent says it applied; 0 when this stream did not send it. */
  appliedRevision(applied: DesiredVersion | undefined): number {
    if (applied === undefined) return 0
    const { epoch, position } = applied
    const found = this.#versions.findLast(
      ({ version }) => BigInt(version.epoch) === epoch && BigInt(version.position) === position,
    )
    return found?.revision ?? 0
  }

  /**
   * Remembers what the agent may forget: ended executions whose end is recorded, and unknown ones.
   * True when there is any.
   */
  noteForget(executions: readonly ReportedExecution[], state: PoolState): boolean {
    this.#forget = executions
      .filter((each) => each.state === 'EXITED')
      .map((each) => each.key)
      .filter((key) => {
        const execution = findExecution(state, key)
        return execution === undefined || execution.nodeId !== this.nodeId || hasEnded(execution)
      })
    return this.#forget.length > 0
  }

  /** Queues an acknowledgement; an agent that takes nothing loses its stream. */
  acknowledge(number: bigint): void {
    if (this.outbox.push({ message: { $case: 'reportAck', value: { number } } })) return
    this.close('the agent takes no messages', poolError('AGENT_TOO_SLOW', { node: this.nodeId }))
  }
}
