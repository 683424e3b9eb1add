import { RpcError, type Timers } from '@serverless-ai/kernel'

/** A stream with heartbeats stopped sending them. */
export class SilenceError extends RpcError {
  constructor() {
    super({ code: 'UNAVAILABLE', reason: 'WATCH_SILENT', message: 'the watch fell silent' })
  }
}

/** One stream until it ends or says nothing for `silenceMs`; then {@link SilenceError}. */
export async function* untilSilent<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  options: {
    readonly timers: Timers
    readonly signal?: AbortSignal | undefined
    readonly silenceMs: number
  },
): AsyncGenerator<T> {
  const { timers, signal, silenceMs } = options
  const stop = new AbortController()
  const leave = () => stop.abort(signal?.reason)
  if (signal?.aborted) leave()
  signal?.addEventListener('abort', leave, { once: true })
  const silence = () => stop.abort(new SilenceError())
  let timer = timers.after(silenceMs, silence)
  try {
    for await (const message of open(stop.signal)) {
      timer.cancel()
      yield message
      // The time that the reader takes is not the sender's silence.
      timer = timers.after(silenceMs, silence)
    }
  } catch (error) {
    throw stop.signal.reason instanceof SilenceError ? stop.signal.reason : error
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', leave)
  }
}
