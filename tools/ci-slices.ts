// The heavier suites that `.ci/run` adds to `npm test`. Each slice is a command that prints
// `N passed, N failed` as its last line; the sums are printed at the end.
import { join } from 'node:path'
import { ROOT } from './lib/paths.ts'
import { shuffled } from './lib/shuffled.ts'
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

/** Files of a suite that no run leaves out. */
const always = (project: string, path: string): Slice => ({
  name: `${path} of ${project}`,
  command: [process.execPath, SPECS, project, path],
  timeoutMs: 5 * MINUTE_MS,
})

/** Suites with containers, of images that were made here: nothing is pulled. */
function containers(minutes: number): Slice {
  const { name, command } = specs('containers', minutes)
  // One file kills twenty containers, and waits for each: six to seven minutes on two cores.
  const timeoutMs = 16 * MINUTE_MS
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

/** So many of them, others each time. */
function rotating(count: number, slices: readonly Slice[], seed: number): readonly Slice[] {
  const names = slices.map(({ name }) => name)
  const chosen = new Set(shuffled(names, seed).slice(0, count))
  console.log(`${[...chosen].join(', ')}: ${count} of ${names.length}, seed ${seed}`)
  return slices.filter(({ name }) => chosen.has(name))
}

const seed = Date.now() % 1_000_000_007

const walks = [
  campaign('interleavings', 10),
  campaign('runtime-histories', 10),
  campaign('scheduler-walk', 5),
  campaign('pool-walk', 5),
  campaign('scaling-walk', 5),
  campaign('autoscaler-walk', 5),
  campaign('scaling-study', 5),
  campaign('sla-ledger', 5),
  campaign('forecast', 3),
]
const serving = [campaign('rolling', 4), campaign('overload', 6), campaign('elastic', 5)]

const slices: readonly Slice[] = [
  campaign('node-faults', 15),
  campaign('kills', 10),
  ...rotating(5, walks, seed),
  campaign('simulation', 5),
  campaign('leader-changes', 3),
  campaign('defects', 5),
  campaign('cycles', 8),
  ...rotating(1, serving, seed),
  specs('s3', 2),
  specs('kafka', 2),
  always('kafka', 'tests/e2e/kafka/zombie'),
  specs('kafka-e2e', 2),
  campaign('failovers', 6),
  campaign('broker-faults', 12),
  campaign('consumers', 5),
  images,
  containers(12),
  specs('prometheus', 1),
]

process.exitCode = await runSlices(slices)
