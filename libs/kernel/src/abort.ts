/** A signal that follows others, and how to let go of them. */
export interface JoinedSignal extends Disposable {
  readonly signal: AbortSignal
}

/**
 * A signal that is aborted, with the same reason, when the first of `signals` is. Unlike
 * `AbortSignal.any` it can be taken back: dispose it when the work is over, or a long-lived signal
 * gathers listeners.
 */
export function anySignal(signals: readonly (AbortSignal | undefined)[]): JoinedSignal {
  const controller = new AbortController()
  const followed: { signal: AbortSignal; listener: () => void }[] = []
  const release = (): void => {
    for (const { signal, listener } of followed) signal.removeEventListener('abort', listener)
    followed.length = 0
  }
  for (const signal of signals) {
    if (signal === undefined) continue
    if (signal.aborted) {
      controller.abort(signal.reason)
      break
    }
    const listener = (): void => {
      release()
      controller.abort(signal.reason)
    }
    signal.addEventListener('abort', listener, { once: true })
    followed.push({ signal, listener })
  }
  if (controller.signal.aborted) release()
  return { signal: controller.signal, [Symbol.dispose]: release }
}

/**
 * The promise's outcome, or a rejection with the signal's reason when it is aborted first. The work
 * behind the promise goes on; its late failure is not reported as unhandled.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
