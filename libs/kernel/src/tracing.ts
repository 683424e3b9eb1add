/**
 * Tracing port: which work belongs to which request, across processes. Bound to OpenTelemetry in
 * production (`@serverless-ai/telemetry`) when it is configured; absent everywhere else, also in
 * the simulator. It is for people who look at what happened: no decision may depend on it, and
 * nothing of it is ever part of a state.
 */

/**
 * Identity of a span as it travels: a `traceparent` of W3C Trace Context,
 * `00-<trace id>-<span id>-<flags>`. Opaque to everyone but the tracer.
 */
export type TraceContext = string

/** Name of the metadata and of the record header that carry a {@link TraceContext}. */
export const TRACEPARENT = 'traceparent'

/** Values that a span can be given. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

/** A piece of work with a beginning and an end. */
export interface Span {
  readonly context: TraceContext
  set(attributes: SpanAttributes): void
  /** Ends it; only the first call counts. `error`: what went wrong, absent = nothing. */
  end(outcome?: { readonly error?: string }): void
}

/** How a span begins. */
export interface SpanInit {
  /** Default `internal`. */
  readonly kind?: 'internal' | 'server' | 'client' | 'consumer'
  /** Absent = the beginning of a new trace. Text that is no context counts as absent. */
  readonly parent?: TraceContext | undefined
  readonly attributes?: SpanAttributes
}

/** The port. */
export interface Tracer {
  /** Context of the work that this code runs for; undefined = none. */
  active(): TraceContext | undefined
  start(name: string, init?: SpanInit): Span
  /** Runs a function with `context` active in it and in everything that it awaits. */
  within<T>(context: TraceContext, run: () => T): T
}
