import type {
  ConnectRequest,
  ConnectResponse,
  ExecutionReport,
  Hello,
} from '@serverless-ai/contracts/agent/v1/agent'
import {
  type CallContext,
  type Clock,
  type Logger,
  RpcError,
  type Timers,
} from '@serverless-ai/kernel'
import type { EffectiveChange } from '@serverless-ai/runtime'
import { errorOf, poolError } from '../adapters/errors.ts'
import { inventoryFromProto, reportFromProto } from '../adapters/from-proto.ts'
import { nodesTouched } from '../core/desired.ts'
import type { PoolCommand, PoolEvent } from '../core/messages.ts'
import type { PoolState } from '../core/state.ts'
import { AgentSession, type TraceOf } from './agent-session.ts'
import { Changes } from './changes.ts'
import type { PoolRuntime } from './definition.ts'
import { Heartbeats } from './heartbeats.ts'
import { receiveHello } from './hello.ts'

/** Difference of wall clocks from which on it is shown, ms. */
export const CLOCK_SKEW_SHOWN_MS = 5_000

/**
 * Heartbeats are gathered for so long, ms, and no longer than this part of the lease, which they
 * shorten: their answers go with one commit, most of them with one that is made anyway.
 */
const GATHER_MAX_MS = 250
const GATHER_LEASE_PART = 50

/** What the hub needs. */
export interface HubOptions {
  readonly runtime: PoolRuntime
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly leaseMs: number
  /** Default: no task belongs to a trace. */
  readonly traceOf?: TraceOf | undefined
}

/** The agents that are connected to this leader, and their streams. */
export class AgentHub {
  readonly #options: HubOptions
  readonly #sessions = new Map<string, AgentSession>()
  /** Monotonic time of the last hello or heartbeat of each node; outlives its streams. */
  readonly #lastSigns = new Map<string, number>()
  readonly #heartbeats: Heartbeats
  #leading: { readonly epoch: number; readonly sinceMs: number } | undefined
  #unsubscribe: (() => void)[] = []
  /** Notified when tasks, nodes or streams change. */
  readonly changes = new Changes()

  constructor(options: HubOptions) {
    this.#options = options
    const { runtime, leaseMs, logger } = options
    const withinMs = Math.min(GATHER_MAX_MS, leaseMs / GATHER_LEASE_PART)
    const confirm = () => runtime.confirm({ withinMs })
    this.#heartbeats = new Heartbeats({ confirm, leaseMs, logger })
  }

  /** Monotonic time since which this replica leads; undefined = it does not. */
  get leadingSinceMs(): number | undefined {
    return this.#leading?.sinceMs
  }

  start(): void {
    const { runtime } = this.#options
    this.#unsubscribe = [
      runtime.onEffective((change) => this.#onEffective(change)),
      runtime.onLeadership((leading, epoch) => this.#onLeadership(leading, epoch)),
    ]
    const { role, epoch } = runtime.status()
    if (role === 'Leading') this.#onLeadership(true, epoch)
  }

  /** Ends all streams; their ends are still recorded while the runtime runs. */
  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#closeAll('the service is stopping')
  }

  /** The node's live stream, registered and usable. */
  sessionOf(nodeId: string): AgentSession | undefined {
    const session = this.#sessions.get(nodeId)
    return session?.active && !session.closed ? session : undefined
  }

  /** Monotonic time of the last sign of life of a node that this process received. */
  lastSignMs(nodeId: string): number | undefined {
    return this.#lastSigns.get(nodeId)
  }

  /** Ends a node's stream, if there is one. */
  closeStream(nodeId: string, cause: string, error: RpcError): void {
    this.#sessions.get(nodeId)?.close(cause, error)
  }

  /** Handler of `AgentService.Connect`. */
  async *connect(
    requests: AsyncIterable<ConnectRequest>,
    context: CallContext,
  ): AsyncGenerator<ConnectResponse> {
    const iterator = requests[Symbol.asyncIterator]()
    const hello = await receiveHello(iterator, context.principal, this.#options.timers)
    await this.requireLeading()
    const session = this.#admit(hello)
    const onAbort = (): void => session.close('the stream was cut')
    context.signal.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#register(session, hello)
      const reading = this.#read(session, iterator)
      yield* session.outbox.messages()
      await reading
    } finally {
      context.signal.removeEventListener('abort', onAbort)
      this.#leave(session)
    }
  }

  /** Streams of agents are at the leader. @throws `NOT_LEADING` that names the leader, elsewhere */
  async requireLeading(): Promise<void> {
    if (this.#leading !== undefined) return
    // A follower cannot, and says who can.
    await this.#options.runtime.confirm()
  }

  /** Takes the place of the node's older stream, if that one may be replaced. */
  #admit(hello: Hello): AgentSession {
    if (this.#leading === undefined) throw poolError('NOT_LEADING')
    const nowMs = this.#options.clock.monotonicMs()
    const older = this.#sessions.get(hello.nodeId)
    if (older !== undefined && !older.closed) {
      const sameSupervisor = older.supervisorSession === hello.supervisorSession
      const silentMs = nowMs - (this.#lastSigns.get(hello.nodeId) ?? 0)
      if (!sameSupervisor && silentMs < this.#options.leaseMs) {
        throw poolError('NODE_ID_IN_USE', { node: hello.nodeId, silentMs: Math.round(silentMs) })
      }
      older.close('a newer stream took over', poolError('STREAM_REPLACED', { node: hello.nodeId }))
    }
    const session = new AgentSession(hello, this.#options.traceOf)
    this.#lastSigns.set(hello.nodeId, nowMs)
    this.#sessions.set(hello.nodeId, session)
    return session
  }

  async #register(session: AgentSession, hello: Hello): Promise<void> {
    const { runtime, clock, leaseMs } = this.#options
    await this.#execute({
      type: 'RegisterNode',
      nodeId: session.nodeId,
      supervisorSession: session.supervisorSession,
      inventory: inventoryFromProto(hello.inventory),
      clockSkewMs: this.#skewOf(hello),
      leaseMs,
    })
    const wallMs = BigInt(Math.round(clock.wallMs()))
    const value = { leaseMs: BigInt(leaseMs), wallMs }
    session.outbox.push({ message: { $case: 'welcome', value } })
    await runtime.read((state, at) => {
      // Activation and the first set belong together: no change in between is missed.
      session.registration = state.nodes.get(session.nodeId)?.registration ?? 0
      session.activeSinceMs = clock.monotonicMs()
      session.active = true
      const epoch = this.#leading?.epoch ?? 0
      session.sendDesired(state, { epoch, position: at.position }, { force: true })
    })
    this.changes.notify()
  }

  #skewOf(hello: Hello): number {
    const { clock, logger } = this.#options
    const skewMs = Math.round(Number(hello.wallMs) - clock.wallMs())
    if (Math.abs(skewMs) <= CLOCK_SKEW_SHOWN_MS) return 0
    logger.log('warn', 'the wall clock of a node differs', { nodeId: hello.nodeId, skewMs })
    return skewMs
  }

  async #read(session: AgentSession, requests: AsyncIterator<ConnectRequest>): Promise<void> {
    try {
      while (!session.closed) {
        const next = await requests.next()
        if (next.done) return session.close('the agent ended its stream')
        await this.#take(session, next.value)
      }
    } catch (error) {
      // The stream's own end is no news; a refusal of what the agent sent is.
      session.close(error instanceof RpcError ? error.reason : 'the stream was cut', error)
    }
  }

  async #take(session: AgentSession, { message }: ConnectRequest): Promise<void> {
    switch (message?.$case) {
      case 'heartbeat':
        this.#lastSigns.set(session.nodeId, this.#options.clock.monotonicMs())
        this.#heartbeats.receive(session, message.value)
        return
      case 'report':
        return this.#report(session, message.value)
      case 'logChunk':
        session.logs.take(message.value)
        return
      case 'hello':
        throw poolError('INVALID_HELLO', { flaw: 'a second Hello on one stream' })
      default:
        // A message of a newer agent: what we do not know we do not need.
        return
    }
  }

  async #report(session: AgentSession, report: ExecutionReport): Promise<void> {
    const { nodeId, supervisorSession } = session
    const { executions, lines } = reportFromProto(report)
    const appliedRevision = session.appliedRevision(report.applied)
    const number = Number(report.number)
    await this.#execute({
      type: 'ReportExecutions',
      nodeId,
      supervisorSession,
      number,
      appliedRevision,
      executions,
      lines,
    })
    session.reported = true
    session.acknowledge(report.number)
    if (!executions.some((each) => each.state === 'EXITED')) return
    await this.#options.runtime.read((state, at) => {
      if (session.closed || !session.noteForget(executions, state)) return
      const epoch = this.#leading?.epoch ?? 0
      session.sendDesired(state, { epoch, position: at.position }, { force: true })
    })
  }

  /** Executes a command; a refusal becomes the error the agent sees. */
  async #execute(command: PoolCommand): Promise<void> {
    const answer = await this.#options.runtime.execute(command)
    if (!answer.ok) throw errorOf(answer.refusal)
  }

  #leave(session: AgentSession): void {
    session.close('the stream ended')
    const { nodeId, registration } = session
    if (this.#sessions.get(nodeId) !== session) return
    this.#sessions.delete(nodeId)
    this.changes.notify()
    if (registration === 0 || this.#leading === undefined) return
    const cause = session.endCause
    const { runtime, logger } = this.#options
    runtime
      .execute({ type: 'DisconnectNode', nodeId, registration, cause })
      .catch((error: unknown) => {
        // The next leader's lease watch does it then.
        logger.log('debug', 'a disconnect was not recorded', { nodeId, error: String(error) })
      })
  }

  #onEffective(change: EffectiveChange<PoolState, PoolEvent>): void {
    const { state, epoch, position } = change
    if (change.replaying || this.#leading === undefined) return
    const touched = new Set<string>()
    for (const event of change.events) {
      for (const nodeId of nodesTouched(event, state)) touched.add(nodeId)
    }
    for (const nodeId of touched) {
      this.sessionOf(nodeId)?.sendDesired(state, { epoch, position }, { force: false })
    }
    this.changes.notify()
  }

  #onLeadership(leading: boolean, epoch: number): void {
    const sinceMs = this.#options.clock.monotonicMs()
    this.#leading = leading ? { epoch, sinceMs } : undefined
    if (leading) return
    this.#closeAll('not leading')
    this.changes.notify()
  }

  #closeAll(cause: string): void {
    for (const session of this.#sessions.values()) session.close(cause, poolError('NOT_LEADING'))
  }
}
