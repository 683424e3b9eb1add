import { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceContext } from '@serverless-ai/kernel'

/**
 * The context that code runs for, of the tracer of this process. Without a tracer nothing ever
 * enters it, and looking costs next to nothing.
 */
export const activeContext = new AsyncLocalStorage<TraceContext>()

/** Ids of the active span, as log lines carry them. */
export function activeIds(): { readonly traceId: string; readonly spanId: string } | undefined {
  const context = activeContext.getStore()
  if (context === undefined) return undefined
  const [, traceId = '', spanId = ''] = context.split('-')
  return { traceId, spanId }
}
