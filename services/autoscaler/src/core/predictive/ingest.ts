import { type Observation, usable, whyUnusable } from '../observation.ts'
import { backlogAfter, lifeLoad, shareOf } from './backtest.ts'
import type { FullConfig } from './config.ts'
import { bucketOf, highestSeen, learn, loadOf } from './curve.ts'
import { FELT_HALF_LIFE_MS } from './demand.ts'
import { weightOf } from './rules.ts'
import type { PredictiveState } from './state.ts'

/** What is expected was told for the time to come: it may be older than what is measured. */
const EXPECTED_MAX_AGE_MS = 120_000
/** Start-ups that are remembered. */
const STARTUPS_MAX = 32
/** After a replica came or went, loads say nothing for so long. */
const COLD_MS = 15_000
/** Output of a request: weight of the newest. */
const OUTPUT_WEIGHT = 0.05
/** Part of the full speed beyond the highest load that was seen. */
const BEYOND_SEEN = 1.25

/** What was believed of an observation. */
export interface Believed {
  readonly reasons: Readonly<Record<string, string | undefined>>
  /** Work that arrived; undefined: not known. */
  readonly work: number | undefined
  readonly requests: number | undefined
  /** Work that is held at the gate. */
  readonly heldWork: number
  readonly heldRequests: number
  readonly inFlight: number | undefined
}

/** Work of requests. */
function workOf(
  load: { readonly requests: number; readonly inputTokens: number },
  config: FullConfig,
  outputMilli: number,
): number {
  const { perRequest, perInputToken, perOutputToken } = config.work
  const output = Math.max(0, outputMilli) / 1_000
  const sum =
    load.requests * (perRequest + perOutputToken * output) + load.inputTokens * perInputToken
  return Math.round(sum)
}

/** Which readings are used, and what they say. */
export function believe(input: Observation, state: PredictiveState, config: FullConfig): Believed {
  const { maxAgeMs } = config
  const arrivals = usable(input.arrivals, maxAgeMs)
  const held = usable(input.held, maxAgeMs)
  const stuck =
    state.stuckHeld !== null &&
    input.nowMs - state.stuckHeld.sinceMs >= config.distrustMs &&
    held?.requests === state.stuckHeld.requests
  const trusted = stuck ? undefined : held
  return {
    reasons: {
      arrivals: whyUnusable(input.arrivals, maxAgeMs),
      held: stuck ? 'STUCK' : whyUnusable(input.held, maxAgeMs),
      inFlight: whyUnusable(input.inFlight, maxAgeMs),
      outcomes: whyUnusable(input.outcomes, maxAgeMs),
      expected: whyUnusable(input.expected, EXPECTED_MAX_AGE_MS),
      replicas: whyUnusable(input.replicas, maxAgeMs),
    },
    work: arrivals === undefined ? undefined : workOf(arrivals, config, state.outputMilli),
    requests: arrivals?.requests,
    heldWork: trusted === undefined ? 0 : workOf(trusted, config, state.outputMilli),
    heldRequests: trusted?.requests ?? 0,
    inFlight: usable(input.inFlight, maxAgeMs),
  }
}

/** A gauge that says requests are held while nothing comes and a replica has nothing to do. */
function stuckHeldAfter(
  input: Observation,
  state: PredictiveState,
  config: FullConfig,
): PredictiveState['stuckHeld'] {
  const held = usable(input.held, config.maxAgeMs)
  if (held === undefined || held.requests === 0) return null
  const fleet = usable(input.replicas, config.maxAgeMs)
  const known = state.stuckHeld?.requests === held.requests
  const idle =
    usable(input.arrivals, config.maxAgeMs)?.requests === 0 &&
    usable(input.inFlight, config.maxAgeMs) === 0
  if (!idle) return null
  // Without a replica nothing can be handed on: that proves nothing, and takes nothing back.
  if ((fleet?.ready ?? 0) === 0) return known ? state.stuckHeld : null
  return known ? state.stuckHeld : { sinceMs: input.nowMs, requests: held.requests }
}

/** The load that requests feel now, in thousandths of the safe one, and what waits. */
function feel(state: PredictiveState, believed: Believed, ready: number, c: FullConfig) {
  const fullShare = loadOf(highestSeen(state.curve)) * BEYOND_SEEN
  const served = (ready * fullShare * c.safeWorkPerS * c.stepMs) / 1_000
  const fluid = Math.round(backlogAfter(state.backlog, believed.work ?? 0, served))
  // What is held was measured: no fluid is needed to know that it waits.
  const backlog = Math.max(fluid, believed.heldWork)
  const weight = weightOf(FELT_HALF_LIFE_MS, c.stepMs)
  let felt = 0
  // The same average as the history's, over its newest part.
  for (const value of state.history.slice(-30)) {
    if (value >= 0) felt += weight * ((value * 1_000) / c.stepMs - felt)
  }
  const share = shareOf({ feltPerS: felt, backlog, ready, safeWorkPerS: c.safeWorkPerS })
  const now = Math.min(1e9, Math.round(share * 1_000))
  const loadMilli = Math.round(lifeLoad(state.loadMilli, now))
  return { backlog, loadMilli }
}

/** The state with what an observation says; decides nothing. */
export function ingest(
  input: Observation,
  before: PredictiveState,
  believed: Believed,
  config: FullConfig,
): PredictiveState {
  const { nowMs } = input
  const { stepMs } = config
  const keep = Math.round(config.historyMs / stepMs)
  const passed =
    before.lastMs === null
      ? 1
      : Math.min(keep, Math.max(1, Math.round((nowMs - before.lastMs) / stepMs)))
  // A rest that was watched is no demand; the rest of what was not observed is not known.
  const calm = Math.min(passed - 1, Math.floor((input.restMs ?? 0) / stepMs))
  const unknown = Array.from({ length: passed - 1 - calm }, () => -1)
  const zeros = Array.from({ length: calm }, () => 0)
  const now = believed.work ?? -1
  const history = [...before.history, ...unknown, ...zeros, now].slice(-keep)
  const step = before.step + passed
  let state: PredictiveState = { ...before, lastMs: nowMs, history, step }
  const fleet = usable(input.replicas, config.maxAgeMs)
  if (fleet !== undefined) {
    const startups = fleet.startupsMs.map((ms) => Math.round(ms))
    const changed = state.ready >= 0 && fleet.ready !== state.ready
    state = {
      ...state,
      startupsMs: [...state.startupsMs, ...startups].slice(-STARTUPS_MAX),
      coldUntil: changed ? step + Math.round(COLD_MS / stepMs) : state.coldUntil,
      ready: fleet.ready,
      ...feel(state, believed, fleet.ready, config),
    }
  }
  state = { ...state, stuckHeld: stuckHeldAfter(input, state, config) }
  // Unknown arrivals may be some.
  const came = (believed.requests ?? 1) > 0 || before.lastMs === null
  const cameMs = came ? nowMs : state.cameMs
  const inside = (believed.inFlight ?? 0) > 0 && nowMs - cameMs < config.longestMs
  const busy = came || inside || believed.heldRequests > 0
  state = { ...state, cameMs, busyMs: busy ? nowMs : state.busyMs }
  return withOutcomes(input, state, config)
}

function withOutcomes(
  input: Observation,
  state: PredictiveState,
  config: FullConfig,
): PredictiveState {
  const outcomes = usable(input.outcomes, config.maxAgeMs)
  if (outcomes === undefined || outcomes.finished === 0) return state
  const { finished, missed, outputTokens } = outcomes
  const each = (outputTokens * 1_000) / finished
  const outputMilli =
    state.outputMilli < 0
      ? Math.round(each)
      : Math.round(state.outputMilli + OUTPUT_WEIGHT * (each - state.outputMilli))
  const realized = {
    finished: state.realized.finished + finished * 1_000,
    missed: state.realized.missed.map((sum, clause) => sum + (missed[clause] ?? 0) * 1_000),
  }
  const cold = state.step < state.coldUntil || state.ready < 1
  const bucket = bucketOf(state.loadMilli / 1_000)
  const curve = cold ? state.curve : learn(state.curve, bucket, { finished, missed })
  return { ...state, outputMilli, realized, curve }
}
