import { seededRandomness } from '@serverless-ai/kernel/testing'
import { type Requests, rescale } from '@serverless-ai/sim/serving'
import { fixed } from './policies.ts'
import { type AnyPolicy, type RigResult, runPolicy } from './rig.ts'

/** Replicas of the smallest fixed fleet that meets the objective. */
export const STATIC_REPLICAS = 16
/** GPUs of a replica. */
export const DEVICES = 8
/** The fleet is whole at first; for so long neither requests nor devices count. */
export const WARM_UP_MS = 300_000

/** A load at its rate, and the start-up time that everybody has to live with. */
export interface Cell {
  readonly requests: Requests
  readonly startupMs: number
  /** Replicas that any policy may have at most. */
  readonly budget: number
  /** When counting begins. */
  readonly fromMs: number
  readonly seed: number
}

/** What a policy did in a cell. */
export interface Score {
  readonly policy: string
  readonly deviceHours: number
  /** Saved of what the fixed fleet uses, 0 to 1. */
  readonly saving: number
  /** Share of requests within the p99 limits of all three indicators. */
  readonly attainment: number
  /** All nine limits hold, and attainment is 99 % at least. */
  readonly met: boolean
  /** p50, p90, p99 of the slowdown of TTFT, TPOT, end to end. */
  readonly slowdown: readonly number[]
  readonly starts: number
  readonly stops: number
  readonly lost: number
}

const rounded = (value: number): number => Number(value.toPrecision(5))

function scoreOf(cell: Cell, name: string, result: RigResult): Score {
  const { attainment, replicaMs, starts, stops } = result
  const whole = STATIC_REPLICAS * (endOf(cell) - cell.fromMs)
  return {
    policy: name,
    deviceHours: rounded((replicaMs * DEVICES) / 3_600_000),
    saving: rounded(1 - replicaMs / whole),
    attainment: rounded(attainment.share),
    met: attainment.met,
    slowdown: attainment.quantiles.map(rounded),
    starts,
    stops,
    lost: attainment.lost,
  }
}

const endOf = ({ requests }: Cell): number => requests.arrivalMs.at(-1)!

/** Start-ups vary around their time by -10 to +20 %, the same for everybody. */
function startups({ seed, startupMs }: Cell): (start: number) => number {
  const dice = seededRandomness(seed)
  const drawn: number[] = []
  return (start) => {
    while (drawn.length <= start) drawn.push(startupMs * (0.9 + 0.3 * dice.float()))
    return drawn[start]!
  }
}

/** Runs a policy in a cell. `exact`: start-ups take just their time (of plans). */
export function score(
  cell: Cell,
  policy: AnyPolicy,
  options: { readonly name?: string; readonly exact?: boolean; readonly initial?: number } = {},
): Score {
  const { name = policy.name, exact = false, initial = STATIC_REPLICAS } = options
  const { budget } = cell
  const result = runPolicy({
    requests: cell.requests,
    startupMs: exact ? () => cell.startupMs : startups(cell),
    initial,
    fromMs: cell.fromMs,
    untilMs: endOf(cell),
    limits: () => ({ floor: 1, ceiling: budget, budget, quota: budget }),
    policy,
  })
  return scoreOf(cell, name, result)
}

type Fleet = Omit<Cell, 'requests'>

/** Whether a fixed fleet of so many meets the objective with the trace at a rate. */
function bears(trace: Requests, factor: number, replicas: number, base: Fleet): boolean {
  const requests = rescale(trace, factor, seededRandomness(base.seed))
  return score({ ...base, requests }, fixed(replicas), { initial: replicas }).met
}

/** Highest rate, as a factor, that a fixed fleet of so many bears within the objective. */
function bearable(trace: Requests, replicas: number, base: Fleet): number {
  let low = 0.1
  let high = 100
  for (let round = 0; round < 13; round += 1) {
    const factor = Math.sqrt(low * high)
    if (bears(trace, factor, replicas, base)) low = factor
    else high = factor
  }
  return low
}

/** Where between two rates is looked, the middle first. */
const SHARES = [0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1, 1]

/**
 * The trace at a rate at which the smallest fixed fleet is 16: between those that 15 and 16 bear.
 * A rescaled trace draws its requests, so more of them may be borne where fewer were not: what is
 * found in the middle is tried.
 */
export function scaled(
  trace: Requests,
  base: Omit<Cell, 'requests' | 'startupMs' | 'budget'>,
): { readonly factor: number; readonly requests: Requests } {
  const cell = { ...base, startupMs: 5_000, budget: STATIC_REPLICAS }
  const most = bearable(trace, STATIC_REPLICAS, cell)
  const fewer = bearable(trace, STATIC_REPLICAS - 1, cell)
  const factor = SHARES.map((share) =>
    Number((fewer + share * (most - fewer)).toPrecision(5)),
  ).find(
    (one) =>
      bears(trace, one, STATIC_REPLICAS, cell) && !bears(trace, one, STATIC_REPLICAS - 1, cell),
  )
  if (factor === undefined) {
    throw new Error(`no rate between ${fewer} and ${most} wants ${STATIC_REPLICAS} replicas`)
  }
  return { factor, requests: rescale(trace, factor, seededRandomness(base.seed)) }
}
