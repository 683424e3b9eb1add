/** What a replica bears, learned from what it did. */
import { math } from '@serverless-ai/kernel'
import { SAFE_LOAD_PCT, UNKNOWN_CAPACITY_MILLI } from './limits.ts'
import type { Signals } from './messages.ts'
import type { CapacityView, Clause, Settings } from './model.ts'

/** A shorter request is believed fast, a longer one slowly: the time without waiting is meant. */
const FASTER_WEIGHT = 0.2
const SLOWER_WEIGHT = 0.005
const RATE_WEIGHT = 0.3
/** What was borne once fades to a half in about 10 minutes of steps with requests. */
const BEST_KEPT = 0.999
/** Capacities are told apart in steps of a quarter: what depends on them begins anew with each. */
const STEP = 1.25
const COARSE_MIN_MILLI = 10
const CAPACITY_MAX_MILLI = 1e9

/** The next lower value of the coarse scale. */
function coarse(milli: number): number {
  if (milli < COARSE_MIN_MILLI) return Math.max(1, Math.floor(milli))
  const steps = Math.floor(math.log(milli / COARSE_MIN_MILLI) / math.log(STEP) + 1e-9)
  return Math.floor(COARSE_MIN_MILLI * math.pow(STEP, steps))
}

/** Whether requests that ended kept the objective. */
const kept = (ended: NonNullable<Signals['ended']>, clauses: readonly Clause[]): boolean =>
  clauses.every(
    ({ missPpm }, index) => (ended.missed[index] ?? 0) * 1e6 <= missPpm * ended.finished,
  )

/** With what ended within `tookMs` at `ready` replicas. */
export function learnCapacity(
  before: CapacityView,
  ended: Signals['ended'],
  of: {
    readonly ready: number
    readonly tookMs: number
    readonly settings: Settings
    readonly clauses: readonly Clause[]
  },
): CapacityView {
  const served = ended?.served ?? ended?.finished ?? 0
  if (ended === undefined || served === 0 || ended.serviceUs <= 0) return before
  const { ready, settings, clauses } = of
  // What was gathered for longer than a step ended in that time, however short the step.
  const tookMs = Math.max(ended.spanMs ?? 0, of.tookMs)
  const eachUs = Math.max(1, Math.round(ended.serviceUs / served))
  const weight = eachUs < before.lightUs ? FASTER_WEIGHT : SLOWER_WEIGHT
  const lightUs =
    before.lightUs === 0
      ? eachUs
      : Math.max(1, Math.round(before.lightUs + weight * (eachUs - before.lightUs)))
  const perReplica = (served * 1e6) / (Math.max(1, ready) * Math.max(1, tookMs))
  const rateMilli = Math.round(before.rateMilli + RATE_WEIGHT * (perReplica - before.rateMilli))
  const faded = Math.floor(before.bestMilli * BEST_KEPT)
  const bestMilli = kept(ended, clauses) ? Math.max(faded, rateMilli) : faded
  // What was declared is believed to the letter; one after the other is what is sure otherwise.
  const declared = settings.capacityMilli
  const measured = Math.max(declared > 0 ? 0 : Math.round(1e9 / lightUs), bestMilli)
  const capacityMilli = Math.max(declared, coarse(Math.min(CAPACITY_MAX_MILLI, measured)))
  return { lightUs, rateMilli, bestMilli, capacityMilli }
}

/** Load that a replica surely bears, in thousandths of a request a second. */
export function safeLoadMilli(capacity: CapacityView, settings: Settings): number {
  const known = capacity.capacityMilli || settings.capacityMilli || UNKNOWN_CAPACITY_MILLI
  return Math.max(1, Math.floor((known * SAFE_LOAD_PCT) / 100))
}
