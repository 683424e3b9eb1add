/** What is told of calls: to an observer for metrics, to a tracer for spans. */
import {
  type Clock,
  type RpcCode,
  type Span,
  TRACEPARENT,
  type TraceContext,
  type Tracer,
} from '@serverless-ai/kernel'
import type { AnyMethod } from './shape.ts'

/** A call that has ended. */
export interface ObservedCall {
  readonly side: 'server' | 'client'
  /** `package.Service/Method`. */
  readonly method: string
  readonly code: RpcCode | 'OK'
  readonly tookMs: number
  /** More than one request or answer: its time says nothing of speed. */
  readonly streaming: boolean
}

/** Called in the turn in which a call ends: it must be quick, and must not throw. */
export interface CallObserver {
  called(call: ObservedCall): void
}

/** Who is told of calls. Nobody by default. */
export interface CallTelemetry {
  readonly observer?: CallObserver | undefined
  readonly tracer?: Tracer | undefined
}

/** Calls that come by themselves all the time: they are in the metrics, but in no trace. */
const NOT_TRACED = /^\/(grpc\.|serverlessai\.(admin|feed)\.)/

const isTraced = ({ path, requestStream, responseStream }: AnyMethod): boolean =>
  !requestStream && !responseStream && !NOT_TRACED.test(path)

/** A call while it runs, for those who are told of it. */
export class ToldCall {
  readonly span: Span | undefined
  readonly #side: ObservedCall['side']
  readonly #method: AnyMethod
  readonly #clock: Clock
  readonly #telemetry: CallTelemetry
  readonly #startMs: number
  #ended = false

  constructor(init: {
    side: ObservedCall['side']
    method: AnyMethod
    clock: Clock
    telemetry: CallTelemetry
    span: Span | undefined
  }) {
    this.#side = init.side
    this.#method = init.method
    this.#clock = init.clock
    this.#telemetry = init.telemetry
    this.span = init.span
    this.#startMs = init.clock.monotonicMs()
  }

  /** Runs the handler of a call as part of its span. */
  within<T>(run: () => T): T {
    const { tracer } = this.#telemetry
    if (this.span === undefined || tracer === undefined) return run()
    return tracer.within(this.span.context, run)
  }

  /** The call is over; only the first time counts. */
  end(code: ObservedCall['code'], reason?: string): void {
    if (this.#ended) return
    this.#ended = true
    const { path, requestStream, responseStream } = this.#method
    this.#telemetry.observer?.called({
      side: this.#side,
      method: path.slice(1),
      code,
      tookMs: this.#clock.monotonicMs() - this.#startMs,
      streaming: requestStream || responseStream,
    })
    this.span?.set({ 'rpc.response.status_code': code })
    this.span?.end(code === 'OK' ? {} : { error: reason ?? code })
  }
}

interface Begin {
  readonly method: AnyMethod
  readonly clock: Clock
  readonly telemetry: CallTelemetry
}

const attributesOf = ({ path }: AnyMethod) => ({
  'rpc.system.name': 'grpc',
  'rpc.method': path.slice(1),
})

/** A call that has come in; undefined = nobody is told. `parent`: context that came with it. */
export function beginServed(
  { method, clock, telemetry }: Begin,
  parent: TraceContext | undefined,
): ToldCall | undefined {
  const { tracer, observer } = telemetry
  const traced = tracer !== undefined && isTraced(method)
  if (!traced && observer === undefined) return undefined
  const attributes = attributesOf(method)
  const span = traced
    ? tracer.start(method.path.slice(1), { kind: 'server', parent, attributes })
    : undefined
  return new ToldCall({ side: 'server', method, clock, telemetry, span })
}

/** A call that goes out; undefined = nobody is told. Only as part of a trace it has a span. */
export function beginMade({ method, clock, telemetry }: Begin): ToldCall | undefined {
  const { tracer, observer } = telemetry
  const parent = isTraced(method) ? tracer?.active() : undefined
  if (parent === undefined && observer === undefined) return undefined
  const attributes = attributesOf(method)
  const span =
    parent === undefined
      ? undefined
      : tracer?.start(method.path.slice(1), { kind: 'client', parent, attributes })
  return new ToldCall({ side: 'client', method, clock, telemetry, span })
}

/** The context that a caller sent. */
export const parentOf = (metadata: {
  get(key: string): readonly (string | Buffer)[]
}): TraceContext | undefined => {
  const [text] = metadata.get(TRACEPARENT)
  return typeof text === 'string' ? text : undefined
}
