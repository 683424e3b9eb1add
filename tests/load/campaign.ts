import { parseArgs } from 'node:util'
import { duration, wholeNumber, withNegatives } from '../support/flags.ts'
import type { Campaign } from './campaigns/campaign.ts'
import { consumers } from './campaigns/consumers.ts'
import { defects } from './campaigns/defects.ts'
import { elastic } from './campaigns/elastic.ts'
import { forecast } from './campaigns/forecast.ts'
import { brokerFaults, failovers } from './campaigns/kafka.ts'
import { kills, killsKafka } from './campaigns/kills.ts'
import { nodeFaults } from './campaigns/node-faults.ts'
import { runCampaign } from './campaigns/run.ts'
import { scalingStudy } from './campaigns/scaling-study.ts'
import { cycles, overload, rolling } from './campaigns/serving.ts'
import { leaderChanges, simulation } from './campaigns/simulations.ts'
import { slaLedger } from './campaigns/sla.ts'
import {
  autoscalerWalk,
  interleavings,
  poolWalk,
  runtimeHistories,
  scalingWalk,
  schedulerWalk,
} from './campaigns/walks.ts'

const CAMPAIGNS: readonly Campaign[] = [
  nodeFaults,
  kills,
  killsKafka,
  consumers,
  interleavings,
  runtimeHistories,
  schedulerWalk,
  poolWalk,
  scalingWalk,
  autoscalerWalk,
  scalingStudy,
  slaLedger,
  forecast,
  cycles,
  rolling,
  overload,
  elastic,
  simulation,
  leaderChanges,
  defects,
  failovers,
  brokerFaults,
]

const USAGE = `usage: npm run campaign -- NAME [OPTIONS]
  --seed S    same seed, same choices; a fresh one by default, it is printed
  --count N   how much; see each campaign
  --hours H   start no case after H hours; run it again to go on
  --slice     the small version; results are printed and not kept
  --only N    the Nth case alone; results are printed and not kept
  --parallel P  so many cases at once: for what is not timed, on a machine with room
S, N and P are whole numbers below 2³². Ends with 0 = all passed, 1 = failed or cases are left,
2 = nothing ran.`

function fail(text: string): never {
  console.error(text)
  process.exit(2)
}

function readFlags() {
  try {
    const { values, positionals } = parseArgs({
      args: withNegatives(process.argv.slice(2)),
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        count: { type: 'string' },
        hours: { type: 'string' },
        only: { type: 'string' },
        parallel: { type: 'string' },
        slice: { type: 'boolean', default: false },
      },
    })
    const options = {
      seed: wholeNumber(values.seed, 'seed', 0),
      count: wholeNumber(values.count, 'count', 1),
      hours: duration(values.hours, 'hours') ?? 24,
      slice: values.slice,
      only: wholeNumber(values.only, 'only', 1),
      parallel: wholeNumber(values.parallel, 'parallel', 1),
    }
    return { options, positionals }
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

const { options, positionals } = readFlags()
const [name] = positionals
const campaign = CAMPAIGNS.find((one) => one.name === name)
if (campaign === undefined) {
  const known = CAMPAIGNS.map((one) => `  ${one.name.padEnd(22)} ${one.about}`)
  const text = `${USAGE}\ncampaigns:\n${known.join('\n')}`
  if (name === undefined) console.log(text)
  else console.error(`there is no campaign "${name}"\n${text}`)
  process.exit(name === undefined ? 0 : 2)
}
process.exit(await runCampaign(campaign, options))
