import { AsyncLocalStorage } from 'node:async_hooks'
import type { Span, SpanAttributes, TraceContext, Tracer } from '../tracing.ts'

/** A span as a test sees it. */
export interface RecordedSpan {
  readonly name: string
  readonly kind: string
  readonly traceId: string
  readonly spanId: string
  /** Empty = the first of its trace. */
  readonly parentId: string
  readonly attributes: Record<string, string | number | boolean>
  ended: boolean
  /** Empty = none. */
  error: string
}

/** A tracer that keeps all spans; ids count up, so that runs are alike. */
export interface MemoryTracer extends Tracer {
  readonly spans: readonly RecordedSpan[]
  /** The only span of this name. @throws when there is none, or another one */
  one(name: string): RecordedSpan
}

/** The tracing port in memory. */
export function memoryTracer(): MemoryTracer {
  const spans: RecordedSpan[] = []
  const current = new AsyncLocalStorage<TraceContext>()
  let ids = 0
  const id = (digits: number): string => {
    ids += 1
    return ids.toString(16).padStart(digits, '0')
  }
  return {
    spans,
    active: () => current.getStore(),
    within: (context, run) => current.run(context, run),
    start(name, { kind = 'internal', parent = '', attributes = {} } = {}) {
      const [, traceId = id(32), parentId = ''] = parent.split('-')
      const spanId = id(16)
      const own: Record<string, string | number | boolean> = { ...attributes }
      const record: RecordedSpan = {
        ...{ name, kind, traceId, spanId, parentId },
        ...{ attributes: own, ended: false, error: '' },
      }
      spans.push(record)
      return spanOf(record)
    },
    one(name) {
      const [found, second] = spans.filter((span) => span.name === name)
      if (found !== undefined && second === undefined) return found
      const names = spans.map((span) => span.name).join(', ')
      throw new Error(`not exactly one span '${name}' among: ${names}`)
    },
  }
}

function spanOf(record: RecordedSpan): Span {
  return {
    context: `00-${record.traceId}-${record.spanId}-01`,
    set(attributes: SpanAttributes) {
      Object.assign(record.attributes, attributes)
    },
    end({ error = '' } = {}) {
      if (record.ended) return
      record.ended = true
      record.error = error
    },
  }
}
