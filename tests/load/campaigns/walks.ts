import { runInterleavings } from '@serverless-ai/eventlog/testing'
import { runPoolWalk } from '@serverless-ai/pool-manager/testing'
import { runRuntimeHistories } from '@serverless-ai/runtime/testing'
import { runSchedulerWalk } from '@serverless-ai/scheduler/testing'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

interface WalkInit {
  readonly name: string
  readonly about: string
  /** Full count, count of a slice, and how many make one case. */
  readonly full: number
  readonly slice: number
  readonly perCase: number
  /** Runs `count` from the number `first` on. Throws with a repro. */
  readonly walk: (part: { seed: number; first: number; count: number }) => Facts | Promise<Facts>
}

/**
 * A campaign that needs no processes: so many random steps or histories, in pieces that can be
 * resumed.
 */
function walkCampaign(init: WalkInit): Campaign {
  const total = ({ count, slice }: CampaignInit): number =>
    count ?? (slice ? init.slice : init.full)
  return {
    name: init.name,
    about: init.about,
    settings: (options) => ({ count: total(options), perCase: init.perCase }),
    cases(options) {
      const { seed } = options
      const all = total(options)
      const flags = `--seed ${seed} --count ${all}`
      return Array.from({ length: Math.ceil(all / init.perCase) }, (_, index): Case => {
        const first = index * init.perCase
        const count = Math.min(init.perCase, all - first)
        return {
          name: `${first + 1} to ${first + count}`,
          repro: `npm run campaign -- ${init.name} ${flags} --only ${index + 1}`,
          run: async () => init.walk({ seed, first, count }),
        }
      })
    },
  }
}

/** Random histories of the log protocol against the independent reference. */
export const interleavings = walkCampaign({
  name: 'interleavings',
  about: 'COUNT (default 1,000,000) random histories of the log protocol against a reference',
  full: 1_000_000,
  slice: 100_000,
  perCase: 10_000,
  walk: ({ seed, first, count }) => ({ ...runInterleavings({ seed, first, count }) }),
})

/** Random histories of the real runtime over the faulty memory log. */
export const runtimeHistories = walkCampaign({
  name: 'runtime-histories',
  about: 'COUNT (default 50,000) random histories of the runtime: duels, storms, kills, pauses',
  full: 50_000,
  slice: 2_000,
  perCase: 500,
  walk: async ({ seed, first, count }) => ({
    ...(await runRuntimeHistories({ seed, first, count })),
  }),
})

/** Random steps of the scheduler's core against an independent ledger. */
export const schedulerWalk = walkCampaign({
  name: 'scheduler-walk',
  about: 'COUNT (default 100,000) random steps of the scheduler core against a ledger',
  full: 100_000,
  slice: 20_000,
  perCase: 10_000,
  walk: ({ seed, first, count }) => ({ ...runSchedulerWalk({ seed: seed + first, steps: count }) }),
})

/** Random steps of the pool manager's core with simulated agents. */
export const poolWalk = walkCampaign({
  name: 'pool-walk',
  about: 'COUNT (default 100,000) random steps of the pool manager core with simulated agents',
  full: 100_000,
  slice: 20_000,
  perCase: 10_000,
  walk: ({ seed, first, count }) => ({ ...runPoolWalk({ seed: seed + first, steps: count }) }),
})
