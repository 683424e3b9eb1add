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

/** Who waits for signals that are followed by `onAbort`. */
const followers = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `listener` when the signal is aborted, at once if it is already; returns what takes it
 * back. For signals that outlive what waits on them: however many wait, one after the other, the
 * signal has one listener, and waiting costs a tenth of `addEventListener`.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return nothing
  }
  let waiting = followers.get(signal)
  if (waiting === undefined) {
    const fresh = new Set<() => void>()
    signal.addEventListener('abort', () => callAll(fresh), { once: true })
    followers.set(signal, fresh)
    waiting = fresh
  }
  // One of its own: the same function may wait twice.
  const entry = (): void => listener()
  waiting.add(entry)
  return () => waiting.delete(entry)
}

function callAll(waiting: Set<() => void>): void {
  for (const listener of waiting) {
    waiting.delete(listener)
    listener()
  }
}

const nothing = (): void => undefined

/**
 * The promise's outcome, or a rejection with the signal's reason when it is aborted first. The work
 * behind the promise goes on; its late failure is not reported as unhandled.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => reject(signal.reason))
    promise.then(
      (value) => {
        release()
        resolve(value)
      },
      (error: unknown) => {
        release()
        reject(error)
      },
    )
  })
}
