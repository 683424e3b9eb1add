/** What a policy gets to see of a service: what was measured, and what the log knows. */
import type { Signals } from './messages.ts'
import type { Target } from './model.ts'
import type { ExpectedLoad, Limits, Maybe, Observation, Replicas } from './observation.ts'

const reading = <T>(value: T, ageMs: number): Maybe<T> => ({ value, ageMs })

/** Replicas as the scheduler told them. */
export function replicasOf(target: Target, atMs: number): Replicas {
  const { ready = 0, draining = 0 } = target.scale ?? {}
  const startingMs = target.starting.map(([, placedMs]) => Math.max(0, atMs - placedMs))
  return { ready, draining, startingMs, startupsMs: target.startupsMs }
}

/** The most that is expected of the time that the forecast still holds for. */
export function expectedOf({ forecast }: Target, atMs: number): Maybe<ExpectedLoad> {
  if (forecast === undefined) return undefined
  const { startMs, bucketMs, perSMilli } = forecast
  const over = Math.max(0, Math.floor((atMs - startMs) / bucketMs))
  const left = perSMilli.slice(over)
  if (left.length === 0) return undefined
  const horizonMs = startMs + perSMilli.length * bucketMs - atMs
  const load = { horizonMs, requestsPerS: Math.max(...left) / 1_000, inputTokensPerS: 0 }
  return reading(load, Math.max(0, atMs - forecast.atMs))
}

/** A short time says little of a rate: it counts for twice as many at most. */
const SHORT_MOST = 2

/** Requests that arrived, as many as it were in a whole step: policies reckon with equal ones. */
function perStep({ came, spanMs }: Signals, stepMs: number): number {
  const requests = came?.[0] ?? 0
  if (requests <= 0 || spanMs === undefined) return requests
  return Math.round(requests * Math.min(SHORT_MOST, stepMs / Math.max(1, spanMs)))
}

/** An observation; `limits` come from the fleet. */
export function observe(
  target: Target,
  row: Signals,
  of: {
    readonly nowMs: number
    readonly atMs: number
    readonly limits: Limits
    readonly stepMs: number
    readonly restMs: number
  },
): Observation {
  const { came, held, inside, ended } = row
  return {
    nowMs: of.nowMs,
    ...(of.restMs === 0 ? {} : { restMs: of.restMs }),
    target: target.scale?.wanted ?? 0,
    arrivals: came && reading({ requests: perStep(row, of.stepMs), inputTokens: 0 }, came[1]),
    held: held && reading({ requests: held[0], inputTokens: 0 }, held[1]),
    inFlight: inside && reading(inside[0], inside[1]),
    outcomes:
      ended &&
      reading(
        { finished: ended.finished, outputTokens: ended.outputTokens, missed: ended.missed },
        ended.ageMs,
      ),
    expected: expectedOf(target, of.atMs),
    replicas: reading(replicasOf(target, of.atMs), 0),
    limits: of.limits,
  }
}

/** Whether anything was told that is more than nothing. */
export function isActive(row: Signals): boolean {
  const more = (gauge: readonly [number, number] | undefined) => gauge !== undefined && gauge[0] > 0
  const { came, held, inside, ended } = row
  return more(came) || more(held) || more(inside) || (ended?.finished ?? 0) > 0
}
