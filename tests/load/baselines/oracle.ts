import { type Cell, type Score, STATIC_REPLICAS, score } from './cell.ts'
import { planned } from './policies.ts'

/** Grain of a plan. */
const SLOT_MS = 5_000
/** Demand is averaged over so many slots, centred: an oracle may look ahead. */
const WIDTHS = [1, 3, 12]
/**
 * Loads of a replica that are aimed at: share of what the latency table allows. At the lowest the
 * whole fleet is there whenever anything is, and none when nothing is.
 */
const LOADS = Array.from({ length: 15 }, (_, index) => 0.04 * 1.27 ** index)
/** Then replicas are taken away where the objective bears it, in stretches of so many slots. */
const STRETCHES = [24, 8]

/** A plan: replicas that are ready, by slot. */
type Plan = Int32Array

interface Found {
  readonly plan: Plan
  readonly score: Score
}

/** Replicas that have to be wanted so that a plan's are ready: a start-up ahead. */
function run(cell: Cell, plan: Plan): Score {
  const ahead = Math.ceil(cell.startupMs / SLOT_MS)
  const wanted = plan.map((_, slot) => Math.max(...plan.subarray(slot, slot + ahead + 1)))
  const last = plan.length - 1
  const at = (nowMs: number) => wanted[Math.min(last, Math.floor(nowMs / SLOT_MS))]!
  return score(cell, planned('oracle', at), { exact: true })
}

/** Work of each slot, in milliseconds of a replica, by the latency table. */
function workOf({ requests }: Cell): Float64Array {
  const { arrivalMs, inputTokens, outputTokens } = requests
  const work = new Float64Array(Math.ceil(arrivalMs.at(-1)! / SLOT_MS) + 1)
  arrivalMs.forEach((at, request) => {
    const ms = inputTokens[request]! * 0.07 + outputTokens[request]! * 0.9
    work[Math.floor(at / SLOT_MS)]! += ms
  })
  return work
}

function follow(work: Float64Array, width: number, load: number, budget: number): Plan {
  const half = Math.floor(width / 2)
  return Int32Array.from(work, (_, slot) => {
    const near = work.subarray(Math.max(0, slot - half), slot + half + 1)
    const mean = near.reduce((sum, value) => sum + value, 0) / near.length
    return Math.max(1, Math.min(budget, Math.ceil(mean / SLOT_MS / load)))
  })
}

/** A plan with one replica less where it is highest within a stretch; undefined: there is none. */
function without(plan: Plan, from: number, length: number): Plan | undefined {
  const until = Math.min(plan.length, from + length)
  const highest = Math.max(...plan.subarray(from, until))
  if (highest <= 1) return undefined
  const next = Int32Array.from(plan)
  for (let slot = from; slot < until; slot += 1) if (next[slot] === highest) next[slot]! -= 1
  return next
}

/**
 * A clairvoyant controller: it knows every request, follows the demand that comes with the best of
 * many settings, and then takes replicas away wherever the objective still holds. No proof that
 * nothing is cheaper: what it saves is possible, and a lower bound of what is.
 */
export function oracle(cell: Cell): Score {
  const work = workOf(cell)
  const whole = Int32Array.from(work, () => STATIC_REPLICAS)
  let best: Found = { plan: whole, score: run(cell, whole) }
  const consider = (plan: Plan) => {
    const found = run(cell, plan)
    if (found.met && found.deviceHours < best.score.deviceHours) best = { plan, score: found }
  }
  for (const width of WIDTHS)
    for (const load of LOADS) consider(follow(work, width, load, cell.budget))
  for (const length of STRETCHES) {
    const first = Math.floor(cell.fromMs / SLOT_MS / length) * length
    for (let from = first; from < work.length; from += length) {
      const plan = without(best.plan, from, length)
      if (plan !== undefined) consider(plan)
    }
  }
  return best.score
}
