import {
  AgentServiceService,
  type ConnectResponse,
  type DesiredSet,
  type Hello,
} from '@serverless-ai/contracts/agent/v1/agent'
import {
  type Clock,
  type Logger,
  RpcError,
  type Timer,
  type Timers,
  type Transport,
} from '@serverless-ai/kernel'
import { reportToProto } from '../../adapters/grpc/mapping.ts'
import type { Report } from '../../core/outbox.ts'
import { LogServer } from './log-server.ts'
import type { LogSource } from './log-source.ts'
import { Outgoing } from './outgoing.ts'

/** Longest silence of the pool manager, ms: at least this, or the lease. */
const SILENCE_MIN_MS = 10_000

/** Says that the replica is of no use now: the next stream goes to another one. */
const silent = (ms: number): RpcError =>
  new RpcError({
    code: 'UNAVAILABLE',
    reason: 'STREAM_SILENT',
    message: `no message for ${ms} ms`,
  })

/** What a connection needs from its agent. */
export interface ConnectionOptions {
  readonly transport: Transport
  readonly address: string
  readonly token: string
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly logSource: LogSource
  readonly hello: () => Hello
  /** The report that waits for its acknowledgement. */
  readonly report: () => Report | undefined
  readonly onWelcome: (leaseMs: number) => void
  readonly onDesired: (set: DesiredSet) => void
  readonly onLease: (deadlineBootMs: number, setSeen: boolean) => void
  readonly onAck: (number: number) => void
}

/** One stream to the pool manager, from hello to its end. */
export class Connection {
  private readonly options: ConnectionOptions
  private readonly outgoing = new Outgoing()
  private readonly aborter = new AbortController()
  private readonly logs: LogServer
  /** Boot clock at which each unanswered heartbeat was sent. */
  private readonly beats = new Map<bigint, number>()
  private lastBeat = 0n
  private setSeen = false
  private welcomed = false
  private leaseMs = 0
  private beat: Timer | undefined
  private silence: Timer | undefined
  /** Monotonic times: when its timer rings, and until when something has to be heard. */
  private silenceRingsMs = 0
  private silentAtMs = 0

  constructor(options: ConnectionOptions) {
    this.options = options
    this.logs = new LogServer({ ...options, send: (message) => this.outgoing.sendLog(message) })
  }

  /**
   * Runs the stream until it ends. Rejects with what ended it.
   *
   * @param signal ends it in order
   */
  async run(signal: AbortSignal): Promise<void> {
    const { transport, address, token } = this.options
    const onAbort = () => this.outgoing.close()
    signal.addEventListener('abort', onAbort, { once: true })
    this.outgoing.send({ $case: 'hello', value: this.options.hello() })
    this.listen()
    try {
      const client = transport.client(AgentServiceService, { address, token })
      const responses = client.connect(this.outgoing, { signal: this.aborter.signal })
      for await (const response of responses) this.receive(response)
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.end()
    }
  }

  /** Sends the report that is due, if the stream is up. */
  sendReport(): void {
    const report = this.options.report()
    if (!this.welcomed || report === undefined) return
    this.outgoing.send({ $case: 'report', value: reportToProto(report) })
  }

  private end(): void {
    this.beat?.cancel()
    this.silence?.cancel()
    this.outgoing.close()
    this.aborter.abort(new Error('the stream is over'))
    this.logs.close()
  }

  /** A stream that says nothing is dead, whatever TCP believes. */
  private listen(): void {
    const ms = Math.max(SILENCE_MIN_MS, this.leaseMs)
    this.silentAtMs = this.options.clock.monotonicMs() + ms
    // Most of the time a timer that is set is early enough, and looks again when it rings.
    if (this.silence === undefined || this.silentAtMs < this.silenceRingsMs) this.arm(ms)
  }

  private arm(ms: number): void {
    this.silence?.cancel()
    this.silenceRingsMs = this.options.clock.monotonicMs() + ms
    this.silence = this.options.timers.after(ms, () => {
      const leftMs = this.silentAtMs - this.options.clock.monotonicMs()
      if (leftMs > 0) this.arm(leftMs)
      else this.aborter.abort(silent(Math.max(SILENCE_MIN_MS, this.leaseMs)))
    })
  }

  private receive({ message }: ConnectResponse): void {
    this.listen()
    switch (message?.$case) {
      case 'welcome':
        this.welcomed = true
        this.leaseMs = Number(message.value.leaseMs)
        this.options.onWelcome(this.leaseMs)
        this.heartbeat()
        this.sendReport()
        return
      case 'heartbeatAck':
        this.onHeartbeatAck(message.value.number, Number(message.value.leaseMs))
        return
      case 'reportAck':
        this.options.onAck(Number(message.value.number))
        return
      case 'desired':
        this.setSeen = true
        this.options.onDesired(message.value)
        return
      case 'logRequest':
        void this.logs.serve(message.value)
        return
      case 'logCredit':
        this.logs.allow(message.value.id, message.value.chunks)
        return
      case 'logCancel':
        this.logs.cancel(message.value.id)
        return
      default:
        this.options.logger.log('debug', 'a message of a newer pool manager is passed over')
    }
  }

  private heartbeat(): void {
    const number = this.lastBeat + 1n
    const sentBootMs = Math.floor(this.options.clock.bootMs())
    const value = { number, sentBootMs: BigInt(sentBootMs) }
    this.lastBeat = number
    if (this.outgoing.send({ $case: 'heartbeat', value })) this.beats.set(number, sentBootMs)
    this.beat = this.options.timers.after(this.leaseMs / 3, () => this.heartbeat())
  }

  /** The lease counts from this side's own send time, never from the answer's. */
  private onHeartbeatAck(number: bigint, leaseMs: number): void {
    const sentBootMs = this.beats.get(number)
    if (sentBootMs === undefined) return
    for (const older of [...this.beats.keys()]) if (older <= number) this.beats.delete(older)
    this.leaseMs = leaseMs
    this.options.onLease(sentBootMs + leaseMs, this.setSeen)
  }
}
