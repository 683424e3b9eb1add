import type { CallContext } from '@serverless-ai/kernel'

/** What a call passes on: it ends with its caller, and at the caller's deadline. */
export function callOptions({ signal, timeoutMs }: CallContext): {
  readonly signal: AbortSignal
  readonly timeoutMs?: number
} {
  return timeoutMs === undefined ? { signal } : { signal, timeoutMs }
}

/** Options of a read for a call with `min_position`; empty = whatever is known here. */
export function readOptions(
  context: CallContext,
  minPosition: string,
): ReturnType<typeof callOptions> & { readonly minPosition?: string } {
  return minPosition === '' ? callOptions(context) : { ...callOptions(context), minPosition }
}
