/** A user that gets no answer asks again until it gets one. */
import { RpcError, type Timers } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'

/** Codes that answer nothing: carried out or not, the same request is sent again. */
const NO_ANSWER: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'ABORTED',
  'RESOURCE_EXHAUSTED',
  'UNKNOWN',
  'INTERNAL',
])
/** Refusals that say nothing of the request: clocks differ, a position is not there yet. */
const PASSING: ReadonlySet<string> = new Set(['REQUEST_FROM_FUTURE'])

const FIRST_MS = 200
const MOST_MS = 5_000

/** An answer: what was asked for, or a refusal that is final. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** The refusal in a failure; undefined when it is no answer. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof RpcError)) throw error
  if (NO_ANSWER.has(error.code) || PASSING.has(error.reason)) return undefined
  return error.reason === '' ? error.code : error.reason
}

/**
 * Calls until there is an answer.
 *
 * @param onFailure told of each failure that is none
 */
export async function insist<T>(
  call: (attempt: number) => Promise<T>,
  ports: {
    readonly timers: Timers
    readonly random: SeededRandomness
    readonly onFailure: (error: unknown) => void
  },
): Promise<Answer<T>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { ok: true, value: await call(attempt) }
    } catch (error) {
      const reason = refusalOf(error)
      if (reason !== undefined) return { ok: false, reason }
      ports.onFailure(error)
    }
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(10, attempt - 1))
    await ports.timers.sleep(most * (0.5 + ports.random.float() / 2))
  }
}
