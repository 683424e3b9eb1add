import type { RequestRecord, ServiceLoad } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { Metrics } from '@serverless-ai/hosting/process'
import type { TelemetrySender } from '@serverless-ai/telemetry-bus'
import { type Measured, Outcome, type RequestMeter } from './meter.ts'
import type { Service, Services } from './services.ts'

const OUTCOMES: Readonly<Record<number, string>> = {
  [Outcome.OK]: 'ok',
  [Outcome.CALLER_ERROR]: 'caller-error',
  [Outcome.FAILED]: 'failed',
  [Outcome.SHED]: 'shed',
  [Outcome.DEADLINE]: 'deadline',
  [Outcome.CANCELLED]: 'cancelled',
}

const micros = (ms: number): bigint => BigInt(Math.max(0, Math.round(ms * 1_000)))

/** Microseconds between two times; undefined where one of them never came. */
const between = (fromMs: number, toMs: number | undefined): bigint | undefined =>
  toMs === undefined ? undefined : micros(toMs - fromMs)

/** A request that has ended, as it is told. */
export function recordOf(measured: Measured): RequestRecord {
  const { arrivedMs, firstTokenMs, lastTokenMs, events, inputTokens, outputTokens } = measured
  const span = firstTokenMs === undefined ? 0 : (lastTokenMs ?? firstTokenMs) - firstTokenMs
  // Events carry the tokens between the first and the last one, however many each holds.
  const steps = (outputTokens ?? events) - 1
  return {
    requestId: measured.requestId,
    jobId: measured.jobId,
    tenant: measured.tenant,
    class: measured.class,
    outcome: measured.outcome,
    httpStatus: measured.httpStatus,
    arrivedMs: BigInt(Math.round(measured.arrivedWallMs)),
    queueUs: between(arrivedMs, measured.givenMs),
    ttftUs: between(arrivedMs, firstTokenMs ?? measured.firstByteMs),
    tpotUs: events > 1 && steps > 0 ? micros(span / steps) : undefined,
    e2eUs: micros(measured.endedMs - arrivedMs),
    inputTokens,
    outputTokens,
    gang: measured.gang,
    generation: measured.generation,
    attempts: measured.attempts,
    fromZero: measured.fromZero,
  }
}

/** What the gate holds of a service now. */
export function loadOf(service: Service, nowMs: number): ServiceLoad {
  const { gate, route, arrived, arrivedTokens } = service
  const { size, tokens, oldestMs } = gate.queue
  return {
    jobId: route.jobId,
    inFlight: gate.replicas.inFlight,
    queued: size,
    queuedTokens: arrivedTokens === undefined ? undefined : BigInt(tokens),
    oldestQueuedMs: oldestMs === undefined ? undefined : BigInt(Math.round(nowMs - oldestMs)),
    arrivedTotal: BigInt(arrived),
    arrivedTokensTotal: arrivedTokens === undefined ? undefined : BigInt(arrivedTokens),
    replicas: gate.replicas.list.map(({ route: each, inFlight }) => ({
      gang: each.gang,
      generation: each.generation,
      inFlight,
      ready: each.ready,
      draining: each.draining,
    })),
  }
}

/** Sends what is measured to the telemetry bus and counts it for `/metrics`; both may be absent. */
export class Measure implements RequestMeter {
  readonly #sender: TelemetrySender | undefined
  readonly #metrics: Metrics | undefined
  /** What was told of a service last. */
  readonly #told = new Map<string, { readonly arrived: number; readonly idle: boolean }>()

  constructor(init: { sender?: TelemetrySender | undefined; metrics?: Metrics | undefined }) {
    this.#sender = init.sender
    this.#metrics = init.metrics
  }

  ended(measured: Measured): void {
    // Nobody's objective speaks of what was for no service.
    if (measured.jobId !== '') {
      this.#sender?.add({ $case: 'request', value: recordOf(measured) })
    }
    this.#count(measured)
  }

  /** Tells the load of services with requests, and once more when there are none left. */
  loads(services: Services, nowMs: number): void {
    const jobs = new Set(services.list().map(({ route }) => route.jobId))
    for (const jobId of this.#told.keys()) if (!jobs.has(jobId)) this.#told.delete(jobId)
    for (const service of services.list()) {
      const { jobId } = service.route
      const before = this.#told.get(jobId) ?? { arrived: 0, idle: true }
      const idle = service.requests.size === 0 && before.arrived === service.arrived
      this.#told.set(jobId, { arrived: service.arrived, idle })
      if (idle && before.idle) continue
      this.#sender?.add({ $case: 'serviceLoad', value: loadOf(service, nowMs) })
    }
  }

  #count({ outcome, arrivedMs, givenMs, firstByteMs, firstTokenMs, endedMs }: Measured): void {
    const metrics = this.#metrics
    if (metrics === undefined) return
    const service = 'gateway'
    const name = OUTCOMES[outcome] ?? 'failed'
    metrics.add('sai_gateway_requests_total', { service, outcome: name })
    const seconds = (toMs: number) => Math.max(0, toMs - arrivedMs) / 1_000
    metrics.observe('sai_gateway_request_seconds', { service }, seconds(endedMs))
    const firstMs = firstTokenMs ?? firstByteMs
    if (firstMs !== undefined) {
      metrics.observe('sai_gateway_first_byte_seconds', { service }, seconds(firstMs))
    }
    if (givenMs !== undefined) {
      metrics.observe('sai_gateway_queue_seconds', { service }, seconds(givenMs))
    }
  }
}
