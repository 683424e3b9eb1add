import type { CallContext } from '@serverless-ai/kernel'
import { readOptions } from './call-options.ts'

/** What {@link readNow} needs of a runtime. */
export interface NowReader<S> {
  read<T>(
    query: (state: S, info: { readonly atMs: number }) => T,
    options: ReturnType<typeof readOptions>,
  ): Promise<{ readonly value: T; readonly token: string }>
}

/**
 * Reads the state with the present time: that of the caller's clock, `wallMs`, not before the last
 * commit.
 */
export function readNow<S, T>(
  runtime: NowReader<S>,
  call: {
    readonly wallMs: number
    readonly context: CallContext
    readonly minPosition: string
  },
  query: (state: S, nowMs: number) => T,
): Promise<{ readonly value: T; readonly token: string }> {
  const { wallMs, context, minPosition } = call
  return runtime.read(
    (state, { atMs }) => query(state, Math.max(wallMs, atMs)),
    readOptions(context, minPosition),
  )
}
