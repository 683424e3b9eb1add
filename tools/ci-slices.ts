// The heavier suites that `.ci/run` adds to `npm test`. Each slice is a command that prints
// `N passed, N failed` as its last line; the sums are printed at the end.
import { join } from 'node:path'
import { ROOT } from './lib/paths.ts'
import { runSlices, type Slice } from './lib/slices.ts'

const MINUTE_MS = 60_000
const CAMPAIGN = join(ROOT, 'tests/dist/load/campaign.js')

/** The small version of a campaign, with a fresh seed that it prints. */
const campaign = (name: string, minutes: number): Slice => ({
  name,
  command: [process.execPath, CAMPAIGN, name, '--slice'],
  timeoutMs: minutes * MINUTE_MS,
})

const slices: readonly Slice[] = [
  campaign('node-faults', 15),
  campaign('kills', 10),
  campaign('interleavings', 10),
  campaign('runtime-histories', 10),
  campaign('scheduler-walk', 5),
  campaign('pool-walk', 5),
  campaign('simulation', 5),
  campaign('leader-changes', 3),
  campaign('defects', 5),
]

process.exitCode = await runSlices(slices)
