import { CYCLE_MAX_MS, LONGER_MAX, runCycles } from '../serving/cycles.ts'
import { fairShares, overloadByClass } from '../serving/overload.ts'
import { RATE, runRolling, type Step } from '../serving/rolling.ts'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

/** Cycles on one platform. */
const CYCLES_PER_PLATFORM = 50
const CYCLES_FULL = 1_000

const countOf = (full: number, small: number) => (init: CampaignInit) =>
  init.count ?? (init.slice ? small : full)

/** Facts of a case, said as well: a slice keeps none. */
function told(facts: object, say: (line: string) => void): Facts {
  say(JSON.stringify(facts))
  return { ...facts }
}

const cyclesOf = countOf(CYCLES_FULL, CYCLES_PER_PLATFORM)

/** The digits server goes from zero to one replica and back, by the autoscaler. */
export const cycles: Campaign = {
  name: 'cycles',
  about: `COUNT (default ${CYCLES_FULL}) times 0→1→0 of the digits server under requests, 0 lost`,
  settings: (init) => ({
    cycles: cyclesOf(init),
    cycleMaxMs: CYCLE_MAX_MS,
    longerMax: LONGER_MAX,
    idleMs: 1_000,
  }),
  cases(init) {
    const { seed } = init
    const all = cyclesOf(init)
    const flags = `--seed ${seed} --count ${all}`
    return Array.from({ length: Math.ceil(all / CYCLES_PER_PLATFORM) }, (_, index): Case => {
      const first = index * CYCLES_PER_PLATFORM
      const count = Math.min(CYCLES_PER_PLATFORM, all - first)
      return {
        name: `cycles ${first + 1} to ${first + count}`,
        repro: `npm run campaign -- cycles ${flags} --only ${index + 1}`,
        run: async (say) => told(await runCycles({ seed, first, count, say }), say),
      }
    })
  },
}

const ROUND: readonly Step[] = ['update', 'drain', 'back', 'drain']
const ROUNDS_FULL = 5
const roundsOf = countOf(ROUNDS_FULL, 1)

/** Replicas are replaced and drain while requests come. */
export const rolling: Campaign = {
  name: 'rolling',
  about: `COUNT (default ${ROUNDS_FULL}) rounds of updates and drains at ${RATE}/s, 0 lost`,
  settings: (init) => ({ rounds: roundsOf(init), ratePerSecond: RATE, round: ROUND }),
  cases(init) {
    const { seed, slice } = init
    const all = roundsOf(init)
    const steps = slice ? ROUND.slice(0, 2) : ROUND
    return Array.from({ length: all }, (_, index): Case => {
      return {
        name: `round ${index + 1}`,
        repro: `npm run campaign -- rolling --seed ${seed} --count ${all} --only ${index + 1}`,
        run: async (say) => told(await runRolling({ seed: seed + index, steps, say }), say),
      }
    })
  },
}

const REPEATS_FULL = 3
const repeatsOf = countOf(REPEATS_FULL, 1)

/** Far more requests than the replicas can answer. */
export const overload: Campaign = {
  name: 'overload',
  about: `COUNT (default ${REPEATS_FULL}) times 2 × the capacity by class; ten tenants, one × 50`,
  settings: (init) => ({ repeats: repeatsOf(init) }),
  cases(init) {
    const all = repeatsOf(init)
    return Array.from({ length: all }, (_, index): Case[] => {
      const seed = init.seed + index
      const repro = (at: number) =>
        `npm run campaign -- overload --seed ${init.seed} --count ${all} --only ${index * 2 + at}`
      return [
        {
          name: `classes ${index + 1}`,
          repro: repro(1),
          run: async (say) => told(await overloadByClass({ seed }), say),
        },
        {
          name: `tenants ${index + 1}`,
          repro: repro(2),
          run: async (say) => told(await fairShares({ seed }), say),
        },
      ]
    }).flat()
  },
}
