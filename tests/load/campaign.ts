import { parseArgs } from 'node:util'
import type { Campaign } from './campaigns/campaign.ts'
import { defects } from './campaigns/defects.ts'
import { kills } from './campaigns/kills.ts'
import { nodeFaults } from './campaigns/node-faults.ts'
import { runCampaign } from './campaigns/run.ts'
import { leaderChanges, simulation } from './campaigns/simulations.ts'
import { interleavings, poolWalk, runtimeHistories, schedulerWalk } from './campaigns/walks.ts'

const CAMPAIGNS: readonly Campaign[] = [
  nodeFaults,
  kills,
  interleavings,
  runtimeHistories,
  schedulerWalk,
  poolWalk,
  simulation,
  leaderChanges,
  defects,
]

const USAGE = `usage: npm run campaign -- NAME [OPTIONS]
  --seed S    same seed, same choices; a fresh one by default, it is printed
  --count N   how much; see each campaign
  --hours H   start no case after H hours; run it again to go on
  --slice     the small version; results are printed and not kept
  --only N    the Nth case alone; results are printed and not kept`

function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`--${name} must be a number, not "${text}"`)
  process.exit(2)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    count: { type: 'string' },
    hours: { type: 'string' },
    only: { type: 'string' },
    slice: { type: 'boolean', default: false },
  },
})
const [name] = positionals
const campaign = CAMPAIGNS.find((one) => one.name === name)
if (campaign === undefined) {
  const known = CAMPAIGNS.map((one) => `  ${one.name.padEnd(22)} ${one.about}`)
  const text = `${USAGE}\ncampaigns:\n${known.join('\n')}`
  if (name === undefined) console.log(text)
  else console.error(`there is no campaign "${name}"\n${text}`)
  process.exit(name === undefined ? 0 : 2)
}
process.exit(
  await runCampaign(campaign, {
    seed: numberOf(values.seed, 'seed'),
    count: numberOf(values.count, 'count'),
    hours: numberOf(values.hours, 'hours') ?? 24,
    slice: values.slice,
    only: numberOf(values.only, 'only'),
  }),
)
