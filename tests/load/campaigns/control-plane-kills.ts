import { runKills } from '../../crash/kills.ts'
import { MOMENTS } from '../../crash/moments.ts'
import { type Kill, planKills, someMoments } from '../../crash/plan.ts'
import type { Campaign, CampaignInit, Case } from './campaign.ts'

const RANDOM_KILLS = 20
const JOBS = 20
const TASK_SECONDS = 1
/** Of a slice: five random ones and five of the named moments, others each time. */
const SLICE_KILLS = 10
/** Kills on one platform. More platforms, shorter histories: a failure is easier to read. */
const KILLS_PER_PLATFORM = 8

function plan({ seed, count, slice }: CampaignInit): readonly Kill[] {
  if (!slice) return planKills({ seed, random: count ?? RANDOM_KILLS, moments: MOMENTS })
  const half = SLICE_KILLS / 2
  return planKills({ seed, random: half, moments: someMoments(seed, half) })
}

function cases(init: CampaignInit): readonly Case[] {
  const kills = plan(init)
  const platforms = Math.ceil(kills.length / KILLS_PER_PLATFORM)
  const flags = `--seed ${init.seed}${init.slice ? ' --slice' : ''}`
  return Array.from({ length: platforms }, (_, index) => {
    const own = kills.filter((_kill, at) => at % platforms === index)
    return {
      name: `platform ${index + 1}: ${own.length} kills`,
      repro: `npm run campaign -- control-plane-kills ${flags} --only ${index + 1}`,
      async run(say) {
        const result = await runKills({ kills: own, jobs: JOBS, taskSeconds: TASK_SECONDS, say })
        if (result.breaches.length > 0) throw new Error(result.breaches.join('; '))
        return { ...result }
      },
    }
  })
}

/** SIGKILL to the control plane while jobs run. */
export const controlPlaneKills: Campaign = {
  name: 'control-plane-kills',
  about:
    `the control plane killed at COUNT random (default ${RANDOM_KILLS}) ` +
    `and ${MOMENTS.length} named moments`,
  settings: ({ count }) => ({
    randomKills: count ?? RANDOM_KILLS,
    moments: MOMENTS,
    jobs: JOBS,
    taskSeconds: TASK_SECONDS,
  }),
  cases,
}
