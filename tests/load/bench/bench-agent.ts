import {
  AgentServiceService,
  type ConnectRequest,
  type ConnectResponse,
} from '@serverless-ai/contracts/agent/v1/agent'
import { AsyncChannel, type Transport } from '@serverless-ai/kernel'

/** What a bench agent says it has. Nothing of it exists. */
export interface BenchNode {
  readonly nodeId: string
  readonly token: string
  readonly devices: number
}

/**
 * An agent of a benchmark: the real stream with a real node token, heartbeats and reports, but it
 * starts nothing. Its devices are emulated, and labelled so.
 */
export class BenchAgent {
  readonly #node: BenchNode
  readonly #requests = new AsyncChannel<ConnectRequest>({ max: 64 })
  readonly #timer: { handle: NodeJS.Timeout | undefined } = { handle: undefined }
  #heartbeats = 0n
  #reports = 0n
  /** Tasks in the desired set that came last. */
  assigned = 0

  constructor(node: BenchNode) {
    this.#node = node
  }

  /** Connects; resolves when the stream has ended. */
  async run(transport: Transport, address: string): Promise<void> {
    const client = transport.client(AgentServiceService, { address, token: this.#node.token })
    this.#send({ $case: 'hello', value: this.#hello() })
    for await (const response of client.connect(this.#requests)) this.#take(response)
  }

  stop(): void {
    clearInterval(this.#timer.handle)
    this.#requests.end()
  }

  #send(message: NonNullable<ConnectRequest['message']>): void {
    this.#requests.push({ message })
  }

  #hello() {
    const { nodeId, devices: count } = this.#node
    const devices = Array.from({ length: count }, (_, index) => ({
      index,
      uuid: `${nodeId}-${index}`,
      model: 'emulated/bench',
      memoryMib: 40_960n,
      emulated: true,
      healthy: true,
    }))
    return {
      nodeId,
      supervisorSession: `bench-${nodeId}`,
      protocol: 1,
      inventory: {
        cpuMillis: 1_000_000n,
        memoryMib: 1_000_000n,
        devices,
        address: '127.0.0.1',
        portFirst: 20_000,
        portLast: 29_999,
        labels: { bench: 'starts-nothing' },
        agentVersion: 'bench',
        isolation: 'none',
      },
      wallMs: BigInt(Date.now()),
      highest: undefined,
    }
  }

  #take({ message }: ConnectResponse): void {
    if (message?.$case === 'welcome') {
      const everyMs = Number(message.value.leaseMs) / 3
      this.#beat()
      this.#timer.handle = setInterval(() => this.#beat(), everyMs)
    }
    if (message?.$case !== 'desired') return
    this.assigned = message.value.assignments.length
    // The first report makes the node usable; after it there is nothing to tell, for nothing runs.
    if (this.#reports > 0n) return
    const { version: applied } = message.value
    this.#reports += 1n
    const report = { number: this.#reports, executions: [], taskReports: [], applied }
    this.#send({ $case: 'report', value: report })
  }

  #beat(): void {
    this.#heartbeats += 1n
    const sentBootMs = BigInt(Math.trunc(performance.now()))
    this.#send({ $case: 'heartbeat', value: { number: this.#heartbeats, sentBootMs } })
  }
}
