/**
 * `npm run sim`: simulates a scenario from seeds, and tells what went wrong so that it can be had
 * again.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import {
  errorText,
  PROCESS,
  type RunResult,
  runMany,
  runSimulation,
  SCENARIOS,
  scenarioOf,
  type TraceEntry,
} from '@serverless-ai/sim'
import { commit } from '../load/report.ts'
import { duration, wholeNumber, withNegatives } from '../support/flags.ts'
import { freshSeed } from '../support/random.ts'
import { withDefect } from './defects/with-defect.ts'
import { storyOf } from './story.ts'
import { cutText, entryText, reproOf, storyText, summaryOf } from './text.ts'

const USAGE = `usage: npm run sim -- --scenario S [OPTIONS]
  --scenario S   what is simulated, see below; several with commas
  --seeds N      so many runs (default 1), seeds counted up from the first
  --seed X       the first seed; a fresh one by default, it is printed
  --workers W    threads (default: one per core); changes no run
  --minutes M    begin no run after M minutes of real time
                 (numbers are whole ones below 2³², but M)
  --defect NAME  with one protection of the product taken out (tests/sim/README.md)
  --trace        one run, each happening in a line
  --about TEXT   of the trace, only lines that contain TEXT
  --at EVENT     one run, stopped after this event of virtual time; prints what came before
With --trace or --at it is one scenario and one run. Ends with 0 = nothing was found, 1 = an alarm,
2 = nothing was simulated, or not up to EVENT.`

const out = (line: string): void => console.log(line)

function fail(text: string): never {
  console.error(text)
  process.exit(2)
}

function readFlags() {
  try {
    const { values } = parseArgs({
      args: withNegatives(process.argv.slice(2)),
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
    })
    return {
      ...values,
      seed: wholeNumber(values.seed, 'seed', 0),
      seeds: wholeNumber(values.seeds, 'seeds', 1),
      workers: wholeNumber(values.workers, 'workers', 1),
      minutes: duration(values.minutes, 'minutes'),
      at: wholeNumber(values.at, 'at', 1),
    }
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
const seed = flags.seed ?? freshSeed()
const { about, at, defect, minutes, trace, workers = availableParallelism() } = flags
const single = trace || at !== undefined
if (single && (scenarios.length > 1 || (flags.seeds ?? 1) > 1 || minutes !== undefined)) {
  fail('--trace and --at are of one run: one --scenario, one seed, no --minutes')
}
if (about !== undefined && !trace) fail('--about chooses lines of --trace')
// The defect is patched into the product as it is loaded: that takes a process of its own.
if (defect !== undefined) withDefect(defect)
const again = (run: Pick<RunResult, 'scenario' | 'seed'>): string =>
  reproOf(run, { commit: commit(), defect })

/** One run in this thread; what it does not survive is told with the line that gives it again. */
async function runHere<T>(run: { scenario: string; seed: number }, work: Promise<T>): Promise<T> {
  const broken = (error: unknown): never => {
    out(`ALARM ${run.scenario} seed ${run.seed}\n  ${PROCESS}: ${errorText(error)}`)
    out(`  again: ${again(run)}`)
    process.exit(1)
  }
  process.on('uncaughtException', broken)
  const done = await work.catch(broken)
  // Also what nobody awaited.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('uncaughtException', broken)
  return done
}

async function runOne(): Promise<number> {
  const scenario = scenarioOf(scenarios[0]!)
  const onEntry = (entry: TraceEntry): void => {
    const line = entryText(entry)
    if (trace && (about === undefined || line.includes(about))) out(line)
  }
  const until = at === undefined ? {} : { untilEvent: at }
  const work = runSimulation({ scenario, seed, onEntry, ...until })
  const result = await runHere({ scenario: scenario.name, seed }, work)
  if (!trace) for (const entry of result.last) out(entryText(entry))
  const alarmed = result.alarms.length > 0
  const reached = at === undefined || result.events >= at
  out(!alarmed && at !== undefined && reached ? cutText(result) : summaryOf(result, again(result)))
  if (!reached) out(`the run ended with event ${result.events}: there is no event ${at}`)
  if (alarmed) return 1
  return reached ? 0 : 2
}

async function runAll(): Promise<number> {
  const count = flags.seeds ?? (minutes === undefined ? 1 : Number.MAX_SAFE_INTEGER)
  const results = await runMany({
    scenarios,
    firstSeed: seed,
    count,
    workers,
    ...(minutes === undefined ? {} : { limitMs: minutes * 60_000 }),
    onResult: (result, realMs) => {
      const pace = (result.simMs / realMs).toFixed(0)
      out(summaryOf(result, again(result)))
      out(`  ${(realMs / 1000).toFixed(1)} s, ${pace} × real time`)
    },
  })
  const alarmed = results.filter(({ alarms }) => alarms.length > 0)
  const told = alarmed.find(({ alarms: [first] }) => first!.checker !== PROCESS)
  if (told !== undefined) out(storyText(await runHere(told, storyOf(told))))
  const changes = results.reduce((sum, { leaderChanges }) => sum + leaderChanges, 0)
  const asked = flags.seeds === undefined ? '' : ` of ${flags.seeds}`
  out(`${results.length}${asked} runs, ${changes} leader changes, ${alarmed.length} with alarms`)
  out(`${results.length - alarmed.length} passed, ${alarmed.length} failed`)
  if (alarmed.length > 0) return 1
  return results.length > 0 ? 0 : 2
}

const status = single ? await runOne() : await runAll()
// All that was said first: a pipe may take its time. A simulated world may still hold timers.
process.stdout.write('', () => process.exit(status))
