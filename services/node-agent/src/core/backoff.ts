/** Delays that double up to a maximum. */
export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/** Restart of the agent: within 2 s at first, at most every 30 s. */
export const AGENT_RESTART: Backoff = { firstMs: 250, maxMs: 30_000 }
/** Reconnect to the pool manager. */
export const RECONNECT: Backoff = { firstMs: 200, maxMs: 5000 }
/** A stream that lived this long starts the back-off over, ms. */
export const STEADY_MS = 10_000
/** An agent that lived this long starts the back-off over, ms. */
export const HEALTHY_MS = 60_000

/** Delay before attempt `failures` + 1, ms; `failures` counts from 1. */
export function delayMs(backoff: Backoff, failures: number): number {
  let ms = backoff.firstMs
  for (let i = 1; i < failures && ms < backoff.maxMs; i += 1) ms *= 2
  return Math.min(backoff.maxMs, ms)
}

/** Spreads a delay over 50 to 100 % of itself; `random` is uniform in [0, 1). */
export function jitter(ms: number, random: number): number {
  return ms * (0.5 + random / 2)
}
