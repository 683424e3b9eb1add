import { isSpanContextValid, type SpanContext } from '@opentelemetry/api'
import type { TraceContext } from '@serverless-ai/kernel'

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-.*)?$/

/** `traceparent` of a span, W3C Trace Context level 1. */
export function formatContext({ traceId, spanId, traceFlags }: SpanContext): TraceContext {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

/** Span that a `traceparent` names; undefined for what is none: whoever sent it may be wrong. */
export function parseContext(text: string): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = '0'] = TRACEPARENT.exec(text) ?? []
  // Only the flag that says "sampled" has a meaning here.
  const traceFlags = Number.parseInt(flags, 16) & 1
  const context = { traceId, spanId, traceFlags, isRemote: true }
  return !text.startsWith('ff') && isSpanContextValid(context) ? context : undefined
}
