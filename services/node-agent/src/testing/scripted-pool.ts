import {
  AgentServiceService,
  type Assignment,
  type ConnectRequest,
  type ConnectResponse,
  type ExecutionKey,
  type ExecutionReport,
  type ExecutionStatus,
  type Hello,
} from '@serverless-ai/contracts/agent/v1/agent'
import { WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import {
  type TaskSample,
  type TelemetryBatch,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { AsyncChannel, type Logger, RpcError, type TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcServer, type ServerTls, staticTokens } from '@serverless-ai/rpc'

type Response = NonNullable<ConnectResponse['message']>

/** Token that a scripted pool takes. */
export const NODE_TOKEN = 'token-of-the-node'

const SILENT: Logger = { log: () => undefined, child: () => SILENT }

function textOf(key: ExecutionKey | undefined): string {
  return `${key?.jobId}/${key?.gang}/${key?.generation}/${key?.rank}`
}

/** A pool manager for tests: real gRPC, its answers are what the test says. */
export class ScriptedPool {
  /** Heartbeats are answered. */
  answers = true
  /** Reports are acknowledged. */
  acknowledges = true
  leaseMs = 2000
  readonly hellos: Hello[] = []
  readonly reports: ExecutionReport[] = []
  readonly lines: { task: string; line: bigint; json: string }[] = []
  readonly logs = new Map<bigint, { text: string; ended: boolean; error: string }>()
  readonly workspaces = new Map<string, Buffer>()
  /** What was measured. */
  readonly batches: TelemetryBatch[] = []
  address = ''
  private readonly streams = new Set<AsyncChannel<ConnectResponse>>()
  private server: TransportServer
  private readonly waiting = new Set<() => void>()
  private assignments: readonly Assignment[] = []
  private forgotten: readonly ExecutionKey[] = []
  private position = 1n
  private lastLog = 0n

  /** Heartbeats that came in. */
  heartbeats = 0

  /** Who connected, by what the server knows of the caller. */
  readonly callers: string[] = []
  private readonly tls: ServerTls | undefined

  constructor(tls?: ServerTls) {
    this.tls = tls
    this.server = this.createServer()
  }

  private createServer(): TransportServer {
    const server = createGrpcServer({
      clock: systemClock,
      timers: systemTimers,
      logger: SILENT,
      ...(this.tls === undefined ? {} : { tls: this.tls }),
      authenticate: staticTokens([
        { token: NODE_TOKEN, principal: { subject: 'node:n1', tenant: '', roles: ['agent'] } },
      ]),
    })
    server.add(AgentServiceService, {
      connect: (requests, { principal }) => {
        this.callers.push(principal.subject)
        return this.connect(requests)
      },
    })
    server.add(WorkspaceServiceService, {
      uploadWorkspace: () => Promise.reject(new Error('no uploads here')),
      downloadWorkspace: (request) => this.download(request.workspace),
    })
    server.add(TelemetryIntakeServiceService, {
      sendTelemetry: async (requests) => {
        const before = this.batches.length
        for await (const { batch } of requests) {
          if (batch !== undefined) this.batches.push(batch)
          for (const look of [...this.waiting]) look()
        }
        const batches = BigInt(this.batches.length - before)
        return { batches, rejectedSamples: 0n, rejected: [] }
      },
    })
    return server
  }

  /** Samples of tasks, in the order in which they came. */
  get taskSamples(): readonly TaskSample[] {
    return this.batches.flatMap(({ samples }) =>
      samples.flatMap(({ value }) => (value?.$case === 'task' ? [value.value] : [])),
    )
  }

  async listen(address = '127.0.0.1:0'): Promise<string> {
    this.address = await this.server.listen(address)
    return this.address
  }

  /** Comes back at the same address after {@link close}. */
  async listenAgain(address: string): Promise<void> {
    this.server = this.createServer()
    await this.listen(address)
  }

  async close(): Promise<void> {
    for (const stream of this.streams) stream.end()
    await this.server.close(100)
  }

  private async *download(workspace: string) {
    const bytes = this.workspaces.get(workspace)
    if (bytes === undefined) {
      throw new RpcError({ code: 'NOT_FOUND', reason: 'WORKSPACE_NOT_FOUND', message: workspace })
    }
    for (let i = 0; i < bytes.length; i += 65_536) yield { data: bytes.subarray(i, i + 65_536) }
  }

  private connect(requests: AsyncIterable<ConnectRequest>): AsyncIterable<ConnectResponse> {
    const stream = new AsyncChannel<ConnectResponse>({ max: 1000 })
    this.streams.add(stream)
    const read = async () => {
      for await (const { message } of requests) {
        this.receive(stream, message)
        for (const look of [...this.waiting]) look()
      }
    }
    void read()
      .catch(() => undefined)
      .finally(() => {
        this.streams.delete(stream)
        stream.end()
        for (const look of [...this.waiting]) look()
      })
    return stream
  }

  private receive(stream: AsyncChannel<ConnectResponse>, message: ConnectRequest['message']) {
    const answer = (response: Response) => stream.push({ message: response })
    switch (message?.$case) {
      case 'hello':
        this.hellos.push(message.value)
        answer({
          $case: 'welcome',
          value: { leaseMs: BigInt(this.leaseMs), wallMs: BigInt(Date.now()) },
        })
        answer(this.desired())
        return
      case 'heartbeat': {
        this.heartbeats += 1
        const { number, sentBootMs } = message.value
        const leaseMs = BigInt(this.leaseMs)
        if (this.answers) answer({ $case: 'heartbeatAck', value: { number, sentBootMs, leaseMs } })
        return
      }
      case 'report': {
        this.reports.push(message.value)
        for (const { key, line, json } of message.value.taskReports) {
          this.lines.push({ task: textOf(key), line, json })
        }
        const { number } = message.value
        if (this.acknowledges) answer({ $case: 'reportAck', value: { number } })
        return
      }
      case 'logChunk': {
        const { id, data, end, error } = message.value
        const log = this.logs.get(id) ?? { text: '', ended: false, error: '' }
        this.logs.set(id, { text: log.text + data.toString(), ended: end, error })
        answer({ $case: 'logCredit', value: { id, chunks: 1 } })
      }
    }
  }

  private desired(): Response {
    const version = { epoch: 1n, position: this.position }
    const { assignments, forgotten: forget } = this
    return { $case: 'desired', value: { version, assignments, forget } }
  }

  /** Sends a whole desired set to every stream. */
  want(assignments: readonly Assignment[], forget: readonly ExecutionKey[] = []): void {
    this.assignments = assignments
    this.forgotten = forget
    this.position += 1n
    this.send(this.desired())
  }

  /** Sends a message to every stream. */
  send(message: Response): void {
    for (const stream of this.streams) stream.push({ message })
  }

  /** Asks for a log; the answer grows in `logs`. */
  askLog(key: ExecutionKey, options: { tailLines?: number; follow?: boolean } = {}): bigint {
    this.lastLog += 1n
    const { tailLines = 0, follow = false } = options
    const value = { id: this.lastLog, key, tailLines, follow, windowChunks: 2 }
    this.send({ $case: 'logRequest', value })
    return this.lastLog
  }

  /** Streams that are open now. */
  get connected(): number {
    return this.streams.size
  }

  /** What was reported last of an execution. */
  status(key: ExecutionKey): ExecutionStatus | undefined {
    return this.reports.at(-1)?.executions.find((status) => textOf(status.key) === textOf(key))
  }

  /** Resolves when a message made `find` give a value; fails after `timeoutMs`. */
  until<T>(what: string, find: () => T | undefined | false, timeoutMs = 20_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(look)
        const last = JSON.stringify(this.reports.at(-1), (_key, value) =>
          typeof value === 'bigint' ? value.toString() : value,
        )
        reject(new Error(`not in ${timeoutMs} ms: ${what}; last report: ${last}`))
      }, timeoutMs)
      const look = () => {
        const found = find()
        if (found === undefined || found === false) return
        clearTimeout(timer)
        this.waiting.delete(look)
        resolve(found)
      }
      this.waiting.add(look)
      look()
    })
  }
}
