import { runKills } from '../../crash/kills.ts'
import { MOMENTS } from '../../crash/moments.ts'
import { type Kill, planKills, someMoments, TARGETS } from '../../crash/plan.ts'
import { startKafkaBroker } from '../../support/kafka-broker.ts'
import type { Campaign, CampaignInit, Case } from './campaign.ts'

/** Of a slice; others each time. */
const SLICE_KILLS = 10
/** Platforms take turns, the seed begins: the default, and one that lapses while much is down. */
const LEASES_MS = [15_000, 3_000] as const
const JOBS = 12
const STEP_MS = 100
/** Kills on one platform. More platforms, shorter histories: a failure is easier to read. */
const KILLS_PER_PLATFORM = 10

/** Where the control plane keeps its log, and so how many processes it is. */
interface Form {
  readonly name: string
  readonly full: number
  readonly severalProcesses: boolean
  /** Does `work` where platforms are started in this form. */
  readonly within: <T>(work: () => Promise<T>) => Promise<T>
}

/** Half of the kills at named moments, half at random times. */
function plan(form: Form, { seed, count = form.full }: CampaignInit): readonly Kill[] {
  const random = Math.floor(count / 2)
  const moments = someMoments(seed, count - random)
  return planKills({ seed, random, moments, severalProcesses: form.severalProcesses })
}

function cases(form: Form, init: CampaignInit): readonly Case[] {
  const kills = plan(form, init)
  const platforms = Math.ceil(kills.length / KILLS_PER_PLATFORM)
  const flags = `--seed ${init.seed} --count ${kills.length}`
  return Array.from({ length: platforms }, (_, index) => {
    const own = kills.filter((_kill, at) => at % platforms === index)
    const leaseMs = LEASES_MS[(init.seed + index) % LEASES_MS.length] ?? LEASES_MS[0]
    return {
      name: `platform ${index + 1}: ${own.length} kills, lease ${leaseMs} ms`,
      repro: `npm run campaign -- ${form.name} ${flags} --only ${index + 1}`,
      async run(say) {
        const options = { kills: own, leaseMs, jobs: JOBS, stepMs: STEP_MS, say }
        const result = await form.within(() => runKills(options))
        if (result.breaches.length > 0) throw new Error(result.breaches.join('; '))
        return { ...result }
      },
    }
  })
}

/** SIGKILL to control planes, agents, supervisors and whole nodes while jobs run. */
function killsOf(form: Form): Campaign {
  const countOf = ({ count, slice }: CampaignInit): number =>
    count ?? (slice ? SLICE_KILLS : form.full)
  return {
    name: form.name,
    about:
      `COUNT (default ${form.full}) kills of control planes, agents, supervisors and nodes: ` +
      `half at ${MOMENTS.length} named moments, half at random times` +
      (form.severalProcesses ? '; on Kafka, two replicas of each service' : ''),
    settings: (init) => ({
      kills: countOf(init),
      targets: TARGETS,
      moments: MOMENTS,
      leasesMs: LEASES_MS,
      jobs: JOBS,
      stepMs: STEP_MS,
    }),
    cases: (init) => cases(form, { ...init, count: countOf(init) }),
  }
}

/** The control plane is one process on the embedded log. */
export const kills = killsOf({
  name: 'kills',
  full: 200,
  severalProcesses: false,
  within: (work) => work(),
})

/** Each replica of each service is a process, on a broker that stays. */
export const killsKafka = killsOf({
  name: 'kills-kafka',
  full: 20,
  severalProcesses: true,
  async within(work) {
    const broker = await startKafkaBroker()
    const { SAI_TEST_LOG, SAI_TEST_BROKERS } = process.env
    try {
      Object.assign(process.env, { SAI_TEST_LOG: 'kafka', SAI_TEST_BROKERS: broker.brokers })
      return await work()
    } finally {
      restore({ SAI_TEST_LOG, SAI_TEST_BROKERS })
      await broker.stop()
    }
  },
})

/** Puts variables of the environment back. */
function restore(before: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}
