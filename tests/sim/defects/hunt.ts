/**
 * Looks for one defect: fresh runs of its scenarios, one after the other in this thread, until a
 * checker raises an alarm or the time is up. Run under the loader of the defect; the last line of
 * the output is a {@link Catch} as JSON.
 */
import { parseArgs } from 'node:util'
import { runSimulation, scenarioOf } from '@serverless-ai/sim'
import { defectOf } from './index.ts'
import { DEFECT_VARIABLE } from './variable.ts'

/** What a hunt came to. */
export interface Catch {
  /** Runs, the one with the alarm included. */
  readonly runs: number
  /** Simulated time of all of them, minutes. */
  readonly simMinutes: number
  /** Of the run with the alarm; empty = there was none. */
  readonly scenario: string
  readonly seed: number
  /** The first alarm. */
  readonly checker: string
  readonly message: string
}

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seconds: { type: 'string' } },
})
const defect = defectOf(process.env[DEFECT_VARIABLE] ?? '')
const deadlineMs = performance.now() + Number(values.seconds) * 1_000
let simMs = 0
let found: Catch | undefined
for (let run = 0; found === undefined && performance.now() < deadlineMs; run += 1) {
  const scenario = scenarioOf(defect.scenarios[run % defect.scenarios.length]!)
  const seed = (Number(values.seed) + run) >>> 0
  const result = await runSimulation({ scenario, seed })
  simMs += result.simMs
  const [first] = result.alarms
  const late = performance.now() >= deadlineMs
  if (first === undefined && !late) continue
  const { checker = '', message = '' } = first ?? {}
  const simMinutes = Number((simMs / 60_000).toFixed(1))
  found = { runs: run + 1, simMinutes, scenario: scenario.name, seed, checker, message }
}
console.log(JSON.stringify(found))
// What a simulated world has left open must not hold up the end.
process.exit(process.exitCode ?? 0)
