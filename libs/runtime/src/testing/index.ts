import { CALM, runCampaign, STORMY } from './campaign.ts'

/** The kinds of random histories, in turn. */
const KINDS = [
  { requests: 40, processes: 1, chaos: 0, faults: STORMY },
  { requests: 40, processes: 1, chaos: 0.1, faults: STORMY },
  { requests: 40, processes: 3, chaos: 0.05, faults: STORMY },
  { requests: 40, processes: 2, chaos: 0.05, faults: CALM },
  { requests: 40, processes: 3, chaos: 0.1, faults: STORMY, replicas: true },
  { requests: 40, processes: 3, chaos: 0.1, faults: CALM, replicas: true },
] as const

/**
 * Random histories of the real runtime: replicas that take turns, processes that fight for one
 * log, storms, kills, pauses, a consumer. History `first + i` of a seed is always the same one.
 * @throws with the number of the history and the promise that is broken
 */
export async function runRuntimeHistories(init: {
  readonly seed: number
  readonly first: number
  readonly count: number
}): Promise<{ histories: number; leaders: number; reloads: number }> {
  const total = { histories: 0, leaders: 0, reloads: 0 }
  for (let index = init.first; index < init.first + init.count; index++) {
    const kind = KINDS[index % KINDS.length] ?? KINDS[0]
    const seed = (init.seed + index * 7_919) % 2_147_483_647
    try {
      const outcome = await runCampaign({ ...kind, seed })
      total.histories += 1
      total.leaders += outcome.leaders
      total.reloads += outcome.reloads
    } catch (error) {
      throw new Error(`history ${index} (seed ${seed}): ${String(error)}`, { cause: error })
    }
  }
  return total
}
