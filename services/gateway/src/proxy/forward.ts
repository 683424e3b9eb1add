import type { Readable } from 'node:stream'
import type { Clock, Principal, RpcError, Timer, Timers } from '@serverless-ai/kernel'
import { httpStatusOf, type RefusalReason, rpcError } from '@serverless-ai/rpc'
import type { DemandSignal } from '../app/demand.ts'
import { Outcome, type RequestMeter } from '../app/meter.ts'
import type { Service, Waiting } from '../app/services.ts'
import type { GatewaySettings } from '../app/settings.ts'
import { AnswerMeter } from '../core/answer-meter.ts'
import type { GateRequest } from '../core/fair-queue.ts'
import { answerHeaders, type Headers } from '../core/headers.ts'
import type { Replica, ReplicaRoute } from '../core/replicas.ts'
import { ATTEMPTS_MAX } from '../core/retry-budget.ts'
import { answerError, breakOff, type ErrorForm, shedByAction } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { isGrpcFailure, splitTrailersOnly } from './grpc.ts'
import { Marks } from './marks.ts'
import { outgoingHeaders } from './outgoing.ts'
import type { FailureKind, UpstreamCall, UpstreamListener } from './upstream.ts'

/** RFC 9110, 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

const FAILURES: Readonly<Record<FailureKind, RefusalReason>> = {
  UNREACHABLE: 'REPLICA_BROKE_OFF',
  REFUSED: 'REPLICA_BROKE_OFF',
  BROKEN: 'REPLICA_BROKE_OFF',
  SILENT: 'REPLICA_SILENT',
  WRONG: 'REPLICA_WRONG',
}

/** What forwarding stands on. */
export interface ForwardPorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly settings: GatewaySettings
  readonly meter: RequestMeter
  readonly demand: DemandSignal
}

/** A request on its way. */
export interface ForwardInit {
  readonly exchange: Exchange
  readonly service: Service
  readonly principal: Principal
  readonly requestId: string
  readonly gate: GateRequest
  /** Tokens of the question, estimated; 0 = not known. */
  readonly promptTokens: number
  /** Name of the class. */
  readonly class: string
  readonly target: string
  /** The whole body, or what it is to be read from while it is sent. */
  readonly body: Readable | Buffer | undefined
  readonly form: ErrorForm
  readonly timeoutMs: number
  readonly arrivedWallMs: number
  readonly ports: ForwardPorts
}

const usable = ({ ready, draining }: ReplicaRoute): boolean => ready && !draining

/** One request from its admission to its end: held, given to a replica, answered, measured. */
export class Forward implements Waiting, UpstreamListener {
  readonly #init: ForwardInit
  readonly #deadline: Timer
  readonly #avoid = new Set<string>()
  #replica: Replica | undefined
  #call: UpstreamCall | undefined
  #attempts = 0
  #over = false
  #fromZero = false
  #sse = false
  readonly #marks = new Marks()
  #stall: Timer | undefined
  #answerBy: Timer | undefined
  #hold: Timer | undefined
  #bodyTouched = false
  #trailersOnly: Record<string, string> | undefined

  constructor(init: ForwardInit) {
    this.#init = init
    const { exchange, timeoutMs, ports } = init
    this.#deadline = ports.timers.after(timeoutMs, () => this.#late())
    exchange.onClose(() => this.#callerLeft())
    exchange.onDrain(() => this.#drained())
  }

  /** Comes to the gate. */
  begin(): void {
    const { service, gate } = this.#init
    service.requests.set(gate.id, this)
    service.arrived += 1
    service.budget.earn()
    if (gate.tokens === 0) service.arrivedTokens = undefined
    else if (service.arrivedTokens !== undefined) service.arrivedTokens += gate.tokens
    this.#offer()
  }

  go(replica: Replica): void {
    const { service, ports, exchange, target } = this.#init
    this.#replica = replica
    this.#attempts += 1
    this.#marks.givenMs = ports.clock.monotonicMs()
    const upstream = service.upstream(replica.key, replica.route.address)
    this.#call = undefined
    this.#expectAnswer()
    const call = upstream.send(
      {
        method: exchange.method,
        target,
        headers: outgoingHeaders(this.#init),
        body: this.#body(),
        silenceMs: ports.settings.silenceMs,
      },
      this,
    )
    // It may have failed at once.
    if (this.#replica === replica && !this.#over) this.#call = call
  }

  evict(): void {
    this.#fail(rpcError('REQUEST_SHED'), Outcome.SHED)
  }

  shed(): void {
    this.#fail(shedByAction(this.#init.class), Outcome.SHED)
  }

  end(): void {
    this.#fail(rpcError('SERVICE_ENDED'), Outcome.FAILED)
  }

  head(status: number, headers: Headers): void {
    const { exchange, service, requestId } = this.#init
    if (this.#over) return
    this.#answerBy?.cancel()
    this.#marks.status = status
    if (this.#replica !== undefined) service.gate.answered(this.#replica)
    const { head, trailers } = splitTrailersOnly(answerHeaders(headers))
    this.#trailersOnly = trailers
    const type = typeof headers['content-type'] === 'string' ? headers['content-type'] : ''
    this.#sse = type.startsWith('text/event-stream')
    this.#marks.answer = new AnswerMeter(this.#sse)
    const length = headers['content-length'] !== undefined
    exchange.begin(status, { ...head, 'x-request-id': requestId }, !length)
  }

  piece(piece: Buffer): boolean {
    if (this.#over) return true
    const { exchange, ports } = this.#init
    this.#marks.take(piece, ports.clock.monotonicMs())
    if (exchange.write(piece)) return true
    const { callerStallMs } = ports.settings
    this.#stall ??= ports.timers.after(callerStallMs, () => this.#callerStalled())
    return false
  }

  ended(trailers: Readonly<Record<string, string>>): void {
    if (this.#over) return
    const { exchange, form } = this.#init
    this.#marks.firstByteMs ??= this.#init.ports.clock.monotonicMs()
    const last = { ...this.#trailersOnly, ...trailers }
    if (form === 'grpc') exchange.end(undefined, last)
    else exchange.end()
    const status = this.#marks.status ?? 0
    const failed = status >= 500 || isGrpcFailure(form, last['grpc-status'])
    this.#finish(failed ? Outcome.FAILED : status >= 400 ? Outcome.CALLER_ERROR : Outcome.OK, '')
  }

  failed(kind: FailureKind, why: string): void {
    if (this.#over) return
    const { exchange, service, ports } = this.#init
    const replica = this.#replica
    const nowMs = ports.clock.monotonicMs()
    if (replica !== undefined && kind === 'UNREACHABLE') {
      const pauseMs = service.gate.suspect(replica, nowMs)
      ports.timers.after(pauseMs + 1, () => service.pump())
    }
    if (!exchange.answered && this.#again(kind)) return
    const reason = FAILURES[kind]
    const message = `${rpcError(reason).message} (${why})`
    this.#fail(rpcError(reason, { message, metadata: this.#where() }), Outcome.FAILED)
  }

  /** Safe where nothing was done yet, or doing it twice is the same as once. */
  #again(kind: FailureKind): boolean {
    const { exchange, service } = this.#init
    if (this.#bodyTouched) return false
    if (kind === 'UNREACHABLE' || kind === 'REFUSED') {
      // Nothing was sent: it was accepted before, and goes back to where it came from.
      this.#leaveReplica()
      this.#waitAgain()
      return true
    }
    if (kind !== 'BROKEN' || !IDEMPOTENT.has(exchange.method)) return false
    if (this.#replica !== undefined) this.#avoid.add(this.#replica.key)
    const { list } = service.gate.replicas
    const others = list.some(({ key, route }) => usable(route) && !this.#avoid.has(key))
    if (!others || this.#attempts >= ATTEMPTS_MAX || !service.budget.spend()) return false
    this.#leaveReplica()
    const { ports, gate } = this.#init
    const other = service.gate.another(gate, ports.clock.monotonicMs(), this.#avoid)
    if (other !== undefined) {
      this.go(other)
      return true
    }
    // They are full: it waits once more.
    this.#waitAgain()
    return true
  }

  #waitAgain(): void {
    const { service, gate, ports } = this.#init
    service.gate.correct(gate, 0)
    if (!service.gate.putBack(gate)) {
      this.shed()
      return
    }
    this.#held(undefined, ports.clock.monotonicMs())
    service.pump()
  }

  #offer(): void {
    const { service, gate, ports } = this.#init
    const nowMs = ports.clock.monotonicMs()
    const offer = service.gate.offer(gate, nowMs)
    if (offer.at === 'Given') this.go(offer.replica)
    else if (offer.at === 'Held') this.#held(offer.evicted, nowMs)
    else if (offer.reason === 'REQUEST_SHED') this.shed()
    else this.#fail(rpcError(offer.reason), Outcome.SHED)
  }

  /** It waits, and maybe another one does not any more. */
  #held(evicted: GateRequest | undefined, nowMs: number): void {
    const { service, ports } = this.#init
    if (evicted !== undefined) service.requests.get(evicted.id)?.evict()
    this.#hold ??= ports.timers.after(this.#holdMs(nowMs), () => {
      if (this.#replica === undefined) this.#late()
    })
    if (service.gate.replicas.any) return
    this.#fromZero = true
    const { size, oldestMs = nowMs } = service.gate.queue
    ports.demand.demand({ jobId: service.route.jobId, queued: size, oldestMs: nowMs - oldestMs })
  }

  /**
   * It is held no longer than it leaves time for the answer: what can only be late would take a
   * replica from those that are not, and a tenant that floods would get nothing in time at all.
   */
  #holdMs(nowMs: number): number {
    const { service, ports, timeoutMs, gate } = this.#init
    const leftMs = timeoutMs - (nowMs - gate.arrivedMs)
    return Math.min(ports.settings.holdMs, leftMs - Math.min(service.workMs, leftMs / 2))
  }

  #body(): AsyncIterable<Buffer> | Buffer | undefined {
    const { body } = this.#init
    return body === undefined || Buffer.isBuffer(body) ? body : this.#read(body)
  }

  async *#read(body: Readable): AsyncGenerator<Buffer> {
    const { bodyMaxBytes } = this.#init.ports.settings
    let bytes = 0
    this.#bodyTouched = true
    let stall = this.#uploadStall()
    try {
      // The caller's connection has to outlive a replica that takes no more.
      for await (const piece of body.iterator({ destroyOnReturn: false })) {
        stall?.cancel()
        bytes += piece.length
        if (bytes > bodyMaxBytes) {
          this.#fail(rpcError('BODY_TOO_LARGE'), Outcome.CALLER_ERROR)
          return
        }
        this.#expectAnswer()
        yield piece
        // The replica took it; until the caller sends more it has nothing to answer.
        this.#answerBy?.cancel()
        stall = this.#uploadStall()
      }
    } finally {
      stall?.cancel()
      this.#expectAnswer()
    }
  }

  /** The time that a replica has for the head of its answer begins with the last it was sent. */
  #expectAnswer(): void {
    this.#answerBy?.cancel()
    const { exchange, ports } = this.#init
    const { headMs } = ports.settings
    if (this.#over || exchange.answered || this.#replica === undefined) return
    this.#answerBy = ports.timers.after(headMs, () => {
      this.#call?.cancel()
      this.failed('SILENT', `no answer for ${headMs} ms`)
    })
  }

  /**
   * Who stops sending keeps a place at a replica from others, and it is not the replica's fault.
   * Calls of gRPC may be silent: their deadline ends them.
   */
  #uploadStall(): Timer | undefined {
    const { form, ports } = this.#init
    if (form === 'grpc') return undefined
    return ports.timers.after(ports.settings.callerStallMs, () => {
      // A replica that answers already needs no more of it.
      if (this.#over || this.#init.exchange.answered) return
      this.#fail(rpcError('CALLER_TOO_SLOW'), Outcome.CALLER_ERROR)
    })
  }

  #drained(): void {
    this.#stall?.cancel()
    this.#stall = undefined
    this.#call?.resume()
  }

  #callerLeft(): void {
    if (this.#over) return
    this.#call?.cancel()
    this.#finish(Outcome.CANCELLED, 'CANCELLED')
  }

  #callerStalled(): void {
    if (this.#over) return
    const { exchange } = this.#init
    this.#call?.cancel()
    this.#finish(Outcome.CALLER_ERROR, 'CALLER_TOO_SLOW')
    exchange.cut()
  }

  #late(): void {
    if (this.#over) return
    if (this.#replica === undefined) this.#fail(rpcError('HOLD_EXPIRED'), Outcome.DEADLINE)
    else this.#fail(rpcError('DEADLINE_EXCEEDED'), Outcome.DEADLINE)
  }

  #fail(error: RpcError, outcome: Outcome): void {
    if (this.#over) return
    const { exchange, form, requestId } = this.#init
    this.#call?.cancel()
    const begun = exchange.answered
    if (!begun) this.#marks.status = httpStatusOf(error)
    this.#finish(outcome, error.reason)
    if (begun) breakOff(exchange, error, form, this.#sse)
    else answerError(exchange, error, form, { 'x-request-id': requestId })
  }

  #where(): Record<string, string> {
    const route = this.#replica?.route
    if (route === undefined) return {}
    return { gang: String(route.gang), generation: String(route.generation) }
  }

  #leaveReplica(): void {
    const { service, gate } = this.#init
    if (this.#replica === undefined) return
    this.#answerBy?.cancel()
    service.gate.done(gate, this.#replica)
    this.#replica = undefined
    this.#call = undefined
  }

  #finish(outcome: Outcome, reason: string): void {
    this.#over = true
    this.#deadline.cancel()
    this.#stall?.cancel()
    this.#hold?.cancel()
    const { service, gate, ports, principal, requestId, arrivedWallMs } = this.#init
    service.requests.delete(gate.id)
    service.gate.withdraw(gate.id)
    const { tokens, givenMs } = this.#marks
    const endedMs = ports.clock.monotonicMs()
    if (outcome === Outcome.OK && givenMs !== undefined) service.worked(endedMs - givenMs)
    if (this.#replica !== undefined && gate.tokens > 0 && tokens.output !== undefined) {
      const input = tokens.input ?? this.#init.promptTokens
      service.gate.correct(gate, Math.max(1, input + tokens.output))
    }
    const { gang, generation } = this.#replica?.route ?? {}
    this.#leaveReplica()
    ports.meter.ended({
      ...this.#marks.measured(),
      requestId,
      jobId: service.route.jobId,
      service: service.route.name,
      tenant: principal.tenant,
      class: this.#init.class,
      outcome,
      reason,
      arrivedWallMs,
      arrivedMs: gate.arrivedMs,
      endedMs,
      gang,
      generation,
      attempts: this.#attempts,
      fromZero: this.#fromZero,
    })
    service.pump()
  }
}
