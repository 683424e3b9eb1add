import { type Randomness, RpcError, type Timers } from '@serverless-ai/kernel'

/** How often and how long a safe call is tried again while nobody answers. */
export interface RetryPolicy {
  /** Calls in all, 1 = never again. Default 6. */
  readonly attempts: number
  /** First pause, ms; doubles. Default 100. */
  readonly firstMs: number
  /** Longest pause, ms. Default 2,000. */
  readonly mostMs: number
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, firstMs: 100, mostMs: 2_000 }

/** True for a failure after which a safe call may be made again. */
export function isAway(error: unknown): error is RpcError {
  return error instanceof RpcError && error.code === 'UNAVAILABLE'
}

/** Pause after an attempt (from 1), ms: exponential, jittered, at least what the server asks. */
export function pauseMs(init: {
  attempt: number
  policy: RetryPolicy
  randomness: Randomness
  error: RpcError
}): number {
  const { attempt, policy, randomness, error } = init
  const most = Math.min(policy.mostMs, policy.firstMs * 2 ** (attempt - 1))
  return Math.max(error.retryAfterMs ?? 0, most * (0.5 + randomness.float() / 2))
}

/** Calls until there is an answer, another failure than UNAVAILABLE, or no attempt left. */
export async function withRetry<T>(
  call: () => Promise<T>,
  ports: {
    readonly timers: Timers
    readonly randomness: Randomness
    readonly policy: RetryPolicy
    readonly signal?: AbortSignal
  },
): Promise<T> {
  const { timers, randomness, policy, signal } = ports
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      if (!isAway(error) || attempt >= policy.attempts) throw error
      await timers.sleep(pauseMs({ attempt, policy, randomness, error }), signal)
    }
  }
}
