import { runKills } from '../../crash/kills.ts'
import { MOMENTS } from '../../crash/moments.ts'
import { type Kill, planKills, someMoments, TARGETS } from '../../crash/plan.ts'
import type { Campaign, CampaignInit, Case } from './campaign.ts'

const KILLS = 200
/** Of a slice; others each time. */
const SLICE_KILLS = 10
/** Platforms take turns, the seed begins: the default, and one that lapses while much is down. */
const LEASES_MS = [15_000, 3_000] as const
const JOBS = 12
const STEP_MS = 100
/** Kills on one platform. More platforms, shorter histories: a failure is easier to read. */
const KILLS_PER_PLATFORM = 10

const countOf = ({ count, slice }: CampaignInit): number => count ?? (slice ? SLICE_KILLS : KILLS)

/** Half of the kills at named moments, half at random times. */
function plan(init: CampaignInit): readonly Kill[] {
  const count = countOf(init)
  const random = Math.floor(count / 2)
  return planKills({ seed: init.seed, random, moments: someMoments(init.seed, count - random) })
}

function cases(init: CampaignInit): readonly Case[] {
  const kills = plan(init)
  const platforms = Math.ceil(kills.length / KILLS_PER_PLATFORM)
  const flags = `--seed ${init.seed} --count ${kills.length}`
  return Array.from({ length: platforms }, (_, index) => {
    const own = kills.filter((_kill, at) => at % platforms === index)
    const leaseMs = LEASES_MS[(init.seed + index) % LEASES_MS.length] ?? LEASES_MS[0]
    return {
      name: `platform ${index + 1}: ${own.length} kills, lease ${leaseMs} ms`,
      repro: `npm run campaign -- kills ${flags} --only ${index + 1}`,
      async run(say) {
        const result = await runKills({ kills: own, leaseMs, jobs: JOBS, stepMs: STEP_MS, say })
        if (result.breaches.length > 0) throw new Error(result.breaches.join('; '))
        return { ...result }
      },
    }
  })
}

/** SIGKILL to control planes, agents, supervisors and whole nodes while jobs run. */
export const kills: Campaign = {
  name: 'kills',
  about:
    `COUNT (default ${KILLS}) kills of control planes, agents, supervisors and nodes: ` +
    `half at ${MOMENTS.length} named moments, half at random times`,
  settings: (init) => ({
    kills: countOf(init),
    targets: TARGETS,
    moments: MOMENTS,
    leasesMs: LEASES_MS,
    jobs: JOBS,
    stepMs: STEP_MS,
  }),
  cases,
}
