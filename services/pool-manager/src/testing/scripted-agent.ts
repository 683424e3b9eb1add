import {
  AgentServiceService,
  type ConnectRequest,
  type ConnectResponse,
  type DesiredSet,
  type DesiredVersion,
  type ExecutionKey,
  ExecutionStatus_State,
  type TaskReport,
} from '@serverless-ai/contracts/agent/v1/agent'
import { type TaskExit, TaskExit_Cause } from '@serverless-ai/contracts/pool/v1/pool'
import { AsyncChannel, type Transport } from '@serverless-ai/kernel'

type Message = NonNullable<ConnectResponse['message']>
type Case = Message['$case']
type ValueOf<K extends Case> = Extract<Message, { $case: K }>['value']

/** State of an execution in a scripted report. */
export interface ScriptedExecution {
  readonly key: ExecutionKey
  readonly state: 'RUNNING' | 'STOPPING' | 'EXITED'
  readonly cause?: keyof typeof TaskExit_Cause
  readonly exitCode?: number
}

/** An agent that does what a test says, over a real stream. */
export class ScriptedAgent {
  readonly #requests = new AsyncChannel<ConnectRequest>({ max: 1_000 })
  readonly #received: Message[] = []
  readonly #ended = Promise.withResolvers<string>()
  #wake: (() => void) | undefined
  #over = false

  constructor(init: {
    transport: Transport
    address: string
    token: string
    nodeId: string
    session: string
    wallMs: number
    protocol?: number
  }) {
    const { transport, address, token } = init
    const client = transport.client(AgentServiceService, { address, token })
    this.#send({
      $case: 'hello',
      value: {
        nodeId: init.nodeId,
        supervisorSession: init.session,
        protocol: init.protocol ?? 1,
        inventory: {
          cpuMillis: 8_000n,
          memoryMib: 8_192n,
          devices: [0, 1].map((index) => ({
            index,
            uuid: `emulated-${init.nodeId}-${index}`,
            model: 'emulated/h100',
            memoryMib: 1_024n,
            emulated: true,
            healthy: true,
          })),
          address: '127.0.0.1',
          portFirst: 20_000,
          portLast: 20_999,
          labels: {},
          agentVersion: '0.1.0',
          isolation: 'none',
        },
        wallMs: BigInt(init.wallMs),
        highest: undefined,
      },
    })
    void this.#receive(client.connect(this.#requests))
  }

  /** The reason with which the server ended the stream; empty = it ended without one. */
  get ended(): Promise<string> {
    return this.#ended.promise
  }

  async #receive(responses: AsyncIterable<ConnectResponse>): Promise<void> {
    let reason = ''
    try {
      for await (const { message } of responses) {
        if (message !== undefined) this.#received.push(message)
        this.#wake?.()
      }
    } catch (error) {
      reason = error instanceof Error && 'reason' in error ? String(error.reason) : String(error)
    }
    this.#over = true
    this.#ended.resolve(reason)
    this.#wake?.()
  }

  #send(message: NonNullable<ConnectRequest['message']>): void {
    this.#requests.push({ message })
  }

  /** The next message of a kind; what came before it is dropped. */
  async next<K extends Case>(kind: K): Promise<ValueOf<K>> {
    for (;;) {
      const message = this.#received.shift()
      if (message?.$case === kind) return message.value as ValueOf<K>
      if (message !== undefined) continue
      if (this.#over) throw new Error(`no ${kind}: the stream ended with ${await this.ended}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Waits for a set that holds so many assignments. */
  async desired(assignments: number): Promise<DesiredSet> {
    for (;;) {
      const set = await this.next('desired')
      if (set.assignments.length === assignments) return set
    }
  }

  /** How many messages of a kind wait unread. */
  waiting(kind: Case): number {
    return this.#received.filter((message) => message.$case === kind).length
  }

  heartbeat(number: number, sentBootMs = 0): void {
    const value = { number: BigInt(number), sentBootMs: BigInt(sentBootMs) }
    this.#send({ $case: 'heartbeat', value })
  }

  report(
    number: number,
    executions: readonly ScriptedExecution[],
    more: { applied?: DesiredVersion; lines?: readonly TaskReport[] } = {},
  ): void {
    const value = {
      number: BigInt(number),
      executions: executions.map((each) => ({
        key: each.key,
        state: ExecutionStatus_State[each.state],
        pid: 42,
        startedMs: 1_700_000_000_000n,
        exit: each.state === 'EXITED' ? exitOf(each) : undefined,
        readiness: undefined,
      })),
      taskReports: more.lines ?? [],
      applied: more.applied,
    }
    this.#send({ $case: 'report', value })
  }

  logChunk(id: bigint, text: string, end: boolean, error = ''): void {
    const data = Buffer.from(text)
    this.#send({ $case: 'logChunk', value: { id, data, end, error } })
  }

  /** Ends the stream as a process that goes away would. */
  hangUp(): void {
    this.#requests.end()
  }
}

function exitOf(execution: ScriptedExecution): TaskExit {
  return {
    cause: TaskExit_Cause[execution.cause ?? 'EXITED'],
    exitCode: execution.exitCode ?? 0,
    signal: '',
    message: '',
    atMs: 1_700_000_000_500n,
  }
}
