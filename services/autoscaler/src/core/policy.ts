import type { Limits, Observation } from './observation.ts'

/** A reason code with its numbers; the sentence is built by whoever shows it. */
export interface Note {
  readonly code: string
  readonly numbers: Readonly<Record<string, number>>
}

/** A number of replicas that was thought of and not taken. */
export interface Rejected extends Note {
  readonly wanted: number
}

/** An input of a decision: what it was, how old, and why it was left out if it was. */
export interface UsedInput {
  readonly name: string
  /** Absent: unknown. */
  readonly ageMs?: number
  /** Code of why it was not used; absent: it was. */
  readonly unused?: string
  readonly numbers: Readonly<Record<string, number>>
}

/** What a policy wants, and why. */
export interface Decision {
  /** Replicas, ready and starting together. */
  readonly wanted: number
  /** Why it stays as it is although something else was thought of, or nothing is known. */
  readonly hold?: Note
  /** What else has to be known: limits reached, an objective out of reach, a source distrusted. */
  readonly notes: readonly Note[]
  readonly rejected: readonly Rejected[]
  readonly inputs: readonly UsedInput[]
  /** The numbers that the policy believes in. */
  readonly model: Readonly<Record<string, number>>
}

/**
 * How many replicas a service should have. Pure: the same state and observation give the same
 * result on every machine; the state is plain JSON.
 */
export interface ScalingPolicy<State> {
  readonly name: string
  initial(): State
  step(input: Observation, state: State): { readonly state: State; readonly decision: Decision }
}

/** Highest number of replicas that the limits allow; growth needs a known budget and quota. */
export function mostReplicas(limits: Limits, target: number): number {
  const { ceiling, budget, quota } = limits
  const known = Math.min(ceiling, budget ?? Number.MAX_SAFE_INTEGER, quota ?? ceiling)
  const unknown = budget === undefined || quota === undefined
  return Math.max(0, unknown ? Math.min(known, target) : known)
}

/** `wanted` within the limits; budget and quota come before the floor. */
export function withinLimits(wanted: number, limits: Limits, target: number): number {
  return Math.min(Math.max(wanted, limits.floor), mostReplicas(limits, target))
}

/** The inputs of an observation, for a decision. */
export function inputsOf(
  input: Observation,
  reasons: Readonly<Record<string, string | undefined>>,
): readonly UsedInput[] {
  const { arrivals, held, inFlight, outcomes, expected, replicas } = input
  const inFlightNumbers = inFlight === undefined ? {} : { requests: inFlight.value }
  const fleet = replicas?.value
  const fleetNumbers =
    fleet === undefined
      ? {}
      : { ready: fleet.ready, starting: fleet.startingMs.length, draining: fleet.draining }
  const { missed: _, ...ended } = outcomes?.value ?? { missed: [] }
  const rows = [
    { name: 'arrivals', reading: arrivals, numbers: { ...arrivals?.value } },
    { name: 'held', reading: held, numbers: { ...held?.value } },
    { name: 'inFlight', reading: inFlight, numbers: inFlightNumbers },
    { name: 'outcomes', reading: outcomes, numbers: { ...ended } },
    { name: 'expected', reading: expected, numbers: { ...expected?.value } },
    { name: 'replicas', reading: replicas, numbers: fleetNumbers },
  ]
  return rows.map(({ name, reading, numbers }) => {
    const unused = reasons[name]
    // What no log can carry (NaN, infinite) is left out.
    const finite = Object.entries(numbers).filter(([, value]) => Number.isFinite(value))
    const age = reading !== undefined && Number.isFinite(reading.ageMs)
    return {
      name,
      ...(age ? { ageMs: reading.ageMs } : {}),
      ...(unused === undefined ? {} : { unused }),
      numbers: Object.fromEntries(finite),
    }
  })
}
