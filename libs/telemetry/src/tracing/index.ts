/**
 * The tracing port over OpenTelemetry. A module of its own: a process that does not trace never
 * loads it.
 */
import {
  type Span as ApiSpan,
  type Tracer as ApiTracer,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Span, SpanAttributes, SpanInit, TraceContext, Tracer } from '@serverless-ai/kernel'
import { activeContext } from './active.ts'
import { formatContext, parseContext } from './context.ts'

/** Spans that wait to be sent; further ones are dropped. */
const QUEUE_MAX = 8_192
const EXPORT_EVERY_MS = 1_000
const EXPORT_TIMEOUT_MS = 3_000

/** How traces leave a process. */
export interface TracingOptions {
  /** Base URL of an OTLP/HTTP receiver; `/v1/traces` is added. */
  readonly endpoint: string
  /** Part of new traces that is recorded, 0 to 1; a caller's decision is followed. */
  readonly sampleFraction: number
  /** Name of the process. */
  readonly service: string
  readonly replica: string
  readonly version: string
}

/** A tracer that has to be closed. */
export interface Tracing {
  readonly tracer: Tracer
  /** Sends what waits, for 3 s at most. Never rejects. */
  close(): Promise<void>
}

const KINDS: Readonly<Record<NonNullable<SpanInit['kind']>, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
}

class OtelSpan implements Span {
  readonly context: TraceContext
  readonly #span: ApiSpan

  constructor(span: ApiSpan) {
    this.#span = span
    this.context = formatContext(span.spanContext())
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributes)
  }

  end({ error }: { readonly error?: string } = {}): void {
    if (error !== undefined) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error })
    }
    this.#span.end()
  }
}

class OtelTracer implements Tracer {
  readonly #tracer: ApiTracer

  constructor(tracer: ApiTracer) {
    this.#tracer = tracer
  }

  active(): TraceContext | undefined {
    return activeContext.getStore()
  }

  start(name: string, { kind = 'internal', parent, attributes }: SpanInit = {}): Span {
    const before = parent === undefined ? undefined : parseContext(parent)
    const within = before === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, before)
    const options = { kind: KINDS[kind], ...(attributes && { attributes }) }
    return new OtelSpan(this.#tracer.startSpan(name, options, within))
  }

  within<T>(context: TraceContext, run: () => T): T {
    return activeContext.run(context, run)
  }
}

/** Traces to an OTLP/HTTP receiver. Spans that it does not take are dropped; nobody waits. */
export function openTracing(options: TracingOptions): Tracing {
  const { endpoint, sampleFraction, service, replica, version } = options
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.instance.id': replica,
      'service.version': version,
      'service.namespace': 'serverless-ai',
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleFraction) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: QUEUE_MAX,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  })
  return {
    tracer: new OtelTracer(provider.getTracer('serverless-ai', version)),
    close: () => provider.shutdown().catch(() => undefined),
  }
}
