import { type Cell, type Score, STATIC_REPLICAS, score } from './cell.ts'
import { oracle } from './oracle.ts'
import { fixed, hpa, kpa, ours } from './policies.ts'
import type { AnyPolicy } from './rig.ts'

/** Targets that the baselines are tried with. */
const TARGETS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
const QUEUED = [0.25, 0.5, 1, 2, 4, 8]

/** From here on an oracle's saving is worth a controller. */
const WORTH = 0.15
/** Start-ups up to which ours has to realise it, and how much of it. */
const STARTUP_MAX_MS = 120_000
const REALISED = 0.6
/** Device time over the best baseline at most. */
const OVER_BEST = 1.05

/** All that is known of a cell, and what was promised of it. */
export interface CellReport {
  readonly oracleSaving: number
  readonly static: Score
  readonly oracle: Score
  readonly ours: Score
  /** Baselines by kind: the cheapest that met the objective, null when none did. */
  readonly best: Readonly<Record<string, Score | null>>
  /** Every target that was tried. */
  readonly sweep: readonly Score[]
  /**
   * Where the oracle saves much: the cheapest of 72 settings of a reactive rule that kept the
   * objective, chosen on this very cell; null when none did.
   */
  readonly hindsight: Score | null
  /** Whether the goal speaks of this cell, and what came of it. */
  readonly goal: {
    readonly applies: boolean
    readonly attained: boolean
    readonly realised: number
    readonly realisedEnough: boolean
    readonly overBest: number
    readonly nearBest: boolean
  }
}

const cheapest = (scores: readonly Score[]): Score | null =>
  scores
    .filter(({ met }) => met)
    .reduce<Score | null>(
      (best, one) => (best === null || one.deviceHours < best.deviceHours ? one : best),
      null,
    )

/** So many always, one more for each so many requests inside, kept for so long. */
function reactive(least: number, perReplica: number, keepMs: number, budget: number): AnyPolicy {
  return {
    name: `${least} + 1 per ${perReplica}, ${keepMs / 1_000} s`,
    begin() {
      let wanted = STATIC_REPLICAS
      let highMs = 0
      return ({ nowMs, inFlight, held }) => {
        const requests = (inFlight?.value ?? 0) + (held?.value.requests ?? 0)
        const need = Math.max(least, Math.ceil(requests / perReplica))
        if (need >= wanted || nowMs - highMs >= keepMs) {
          wanted = Math.min(need, budget)
          highMs = nowMs
        }
        return { wanted, notes: [], rejected: [], inputs: [], model: {} }
      }
    },
  }
}

function inHindsight(cell: Cell): Score | null {
  const scores: Score[] = []
  for (const least of [4, 6, 8, 10, 12, 13, 14, 15]) {
    for (const perReplica of [2, 4, 8]) {
      for (const keepMs of [10_000, 40_000, 120_000]) {
        scores.push(score(cell, reactive(least, perReplica, keepMs, cell.budget)))
      }
    }
  }
  return cheapest(scores)
}

/** Scores every policy in a cell. */
export function study(cell: Cell, say: (line: string) => void): CellReport {
  const whole = score(cell, fixed(STATIC_REPLICAS))
  const best = oracle(cell)
  say(`the oracle saves ${(best.saving * 100).toFixed(1)} % of ${whole.deviceHours} device hours`)
  const sweep = [
    ...TARGETS.map((target) => score(cell, kpa(target), { name: `kpa ${target}` })),
    ...TARGETS.map((target) => score(cell, hpa('outstanding', target), { name: `hpa ${target}` })),
    ...QUEUED.map((target) => score(cell, hpa('queued', target), { name: `hpa-queue ${target}` })),
  ]
  const byKind = (kind: string) =>
    cheapest(sweep.filter(({ policy }) => policy.startsWith(`${kind} `)))
  const kinds = { kpa: byKind('kpa'), hpa: byKind('hpa'), 'hpa-queue': byKind('hpa-queue') }
  const mine = score(cell, ours(cell.startupMs), { name: 'ours' })
  const baselines = Object.values(kinds).filter((one) => one !== null)
  const bestHours = Math.min(whole.deviceHours, ...baselines.map(({ deviceHours }) => deviceHours))
  const realised = best.saving <= 0 ? 1 : mine.saving / best.saving
  const applies = best.saving >= WORTH && cell.startupMs <= STARTUP_MAX_MS
  const overBest = mine.deviceHours / bestHours
  say(`ours saves ${(mine.saving * 100).toFixed(1)} % at ${(mine.attainment * 100).toFixed(2)} %`)
  return {
    oracleSaving: best.saving,
    static: whole,
    oracle: best,
    ours: mine,
    best: kinds,
    sweep,
    hindsight: applies ? inHindsight(cell) : null,
    goal: {
      applies,
      attained: mine.met,
      realised: Number(realised.toFixed(3)),
      realisedEnough: realised >= REALISED,
      overBest: Number(overBest.toFixed(4)),
      nearBest: overBest <= OVER_BEST,
    },
  }
}
