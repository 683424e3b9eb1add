/**
 * `npm run sim`: simulates a scenario from seeds, and tells what went wrong so that it can be had
 * again.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import {
  type RunResult,
  runMany,
  runSimulation,
  SCENARIOS,
  scenarioOf,
  type TraceEntry,
} from '@serverless-ai/sim'
import { commit } from '../load/report.ts'
import { freshSeed } from '../support/random.ts'
import { withDefect } from './defects/with-defect.ts'
import { storyOf } from './story.ts'
import { entryText, reproOf, storyText, summaryOf } from './text.ts'

const USAGE = `usage: npm run sim -- --scenario S [OPTIONS]
  --scenario S   what is simulated, see below; several with commas
  --seeds N      so many runs (default 1), seeds counted up from the first
  --seed X       the first seed; a fresh one by default, it is printed
  --workers W    threads (default: one per core); changes no run
  --minutes M    begin no run after M minutes of real time
  --defect NAME  with one protection of the product taken out (tests/sim/README.md)
  --trace        one run, each happening in a line
  --about TEXT   of the trace, only lines that contain TEXT
  --at EVENT     one run, stopped after this event of virtual time; prints what came before`

const out = (line: string): void => console.log(line)

function fail(text: string): never {
  console.error(text)
  process.exit(2)
}

function count(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0) return value
  return fail(`--${name} must be a number from 0, not "${text}"`)
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        scenario: { type: 'string' },
        seeds: { type: 'string' },
        seed: { type: 'string' },
        workers: { type: 'string' },
        minutes: { type: 'string' },
        defect: { type: 'string' },
        about: { type: 'string' },
        at: { type: 'string' },
        trace: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

const flags = readFlags()
const known = SCENARIOS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')
if (flags.help || flags.scenario === undefined) {
  out(`${USAGE}\nscenarios:\n${known}`)
  process.exit(flags.help ? 0 : 2)
}
const scenarios = flags.scenario.split(',')
try {
  for (const name of scenarios) scenarioOf(name)
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
const seed = count(flags.seed, 'seed') ?? freshSeed()
const { defect } = flags
// The defect is patched into the product as it is loaded: that takes a process of its own.
if (defect !== undefined) withDefect(defect)
const at = count(flags.at, 'at')
const again = (result: RunResult): string => reproOf(result, { commit: commit(), defect })

if (flags.trace || at !== undefined) {
  const { about, trace } = flags
  const onEntry = (entry: TraceEntry): void => {
    const line = entryText(entry)
    if (trace && (about === undefined || line.includes(about))) out(line)
  }
  const result = await runSimulation({
    scenario: scenarioOf(scenarios[0]!),
    seed,
    onEntry,
    ...(at === undefined ? {} : { untilEvent: at }),
  })
  if (!trace) for (const entry of result.last) out(entryText(entry))
  out(summaryOf(result, again(result)))
  process.exit(result.alarms.length > 0 ? 1 : 0)
}

const minutes = count(flags.minutes, 'minutes')
const results = await runMany({
  scenarios,
  firstSeed: seed,
  count: count(flags.seeds, 'seeds') ?? (minutes === undefined ? 1 : Number.MAX_SAFE_INTEGER),
  workers: count(flags.workers, 'workers') ?? availableParallelism(),
  ...(minutes === undefined ? {} : { limitMs: minutes * 60_000 }),
  onResult: (result, realMs) => {
    const pace = (result.simMs / realMs).toFixed(0)
    out(
      `${summaryOf(result, again(result))}\n  ${(realMs / 1000).toFixed(1)} s, ${pace} × real time`,
    )
  },
})
const alarmed = results.filter(({ alarms }) => alarms.length > 0)
if (alarmed[0] !== undefined) out(storyText(await storyOf(alarmed[0])))
const changes = results.reduce((sum, { leaderChanges }) => sum + leaderChanges, 0)
out(`${results.length} runs, ${changes} leader changes, ${alarmed.length} with alarms`)
out(`${results.length - alarmed.length} passed, ${alarmed.length} failed`)
process.exit(alarmed.length > 0 ? 1 : 0)
