import type { Timer, Timers } from '../ports.ts'

/** The longest delay setTimeout takes; beyond it fires at once. */
const LONGEST_MS = 2 ** 31 - 1

function after(ms: number, fn: () => void): Timer {
  let handle: ReturnType<typeof setTimeout>
  const arm = (leftMs: number): void => {
    const nowMs = Math.min(Math.max(0, leftMs), LONGEST_MS)
    handle = setTimeout(() => (leftMs > LONGEST_MS ? arm(leftMs - nowMs) : fn()), nowMs)
  }
  arm(ms)
  return { cancel: () => clearTimeout(handle) }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Timers of the event loop. */
export const systemTimers: Timers = {
  sleep,
  after,
  yieldTurn: () => new Promise((resolve) => setImmediate(resolve)),
}
