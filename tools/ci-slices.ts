// The heavier suites that `.ci/run` adds to `npm test`. Each slice is a command that prints
// `N passed, N failed` as its last line; the sums are printed at the end.
import { join } from 'node:path'
import { ROOT } from './lib/paths.ts'
import { runSlices, type Slice } from './lib/slices.ts'

const MINUTE_MS = 60_000
const CAMPAIGN = join(ROOT, 'tests/dist/load/campaign.js')
const SPECS = join(ROOT, 'tools/specs.ts')
const IMAGES = join(ROOT, 'tools/images.ts')

/** The small version of a campaign, with a fresh seed that it prints. */
const campaign = (name: string, minutes: number): Slice => ({
  name,
  command: [process.execPath, CAMPAIGN, name, '--slice'],
  timeoutMs: minutes * MINUTE_MS,
})

/** Suites beside `npm test`; where they take longer, other files each time. */
const specs = (project: string, minutes: number): Slice => ({
  name: `specs of ${project}`,
  command: [process.execPath, SPECS, project, '--minutes', String(minutes)],
  timeoutMs: (minutes + 6) * MINUTE_MS,
})

/** Suites with containers, of images that were made here: nothing is pulled. */
function containers(minutes: number): Slice {
  const { name, command, timeoutMs } = specs('containers', minutes)
  const variables = [
    'TESTCONTAINERS_RYUK_DISABLED=true',
    'SAI_KAFKA_IMAGE=serverless-ai/kafka:local',
  ]
  return { name, command: ['env', ...variables, ...command], timeoutMs }
}

const images: Slice = {
  name: 'images',
  command: [process.execPath, IMAGES, 'control-plane', 'agent', 'kafka', 'prometheus'],
  timeoutMs: 15 * MINUTE_MS,
}

const slices: readonly Slice[] = [
  campaign('node-faults', 15),
  campaign('kills', 10),
  campaign('interleavings', 10),
  campaign('runtime-histories', 10),
  campaign('scheduler-walk', 5),
  campaign('pool-walk', 5),
  campaign('scaling-walk', 5),
  campaign('scaling-study', 5),
  campaign('sla-ledger', 5),
  campaign('cycles', 8),
  campaign('rolling', 4),
  campaign('overload', 6),
  campaign('simulation', 5),
  campaign('leader-changes', 3),
  campaign('defects', 5),
  specs('s3', 2),
  specs('kafka', 3),
  specs('kafka-e2e', 3),
  campaign('failovers', 6),
  campaign('broker-faults', 12),
  campaign('consumers', 5),
  images,
  containers(1),
  specs('prometheus', 1),
]

process.exitCode = await runSlices(slices)
