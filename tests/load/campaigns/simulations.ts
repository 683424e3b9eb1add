/** Seeds of the simulator, in pieces that can be resumed. */
import { availableParallelism } from 'node:os'
import { type RunResult, runMany } from '@serverless-ai/sim'
import { reproOf } from '../../sim/text.ts'
import { commit } from '../report.ts'
import type { Facts } from './campaign.ts'
import { inPieces, type Piece } from './pieces.ts'

/** Throws for the first alarm; returns the sums. */
function judge(results: readonly RunResult[]): Facts {
  const alarmed = results.find(({ alarms }) => alarms.length > 0)
  if (alarmed !== undefined) {
    const [first] = alarmed.alarms
    const repro = reproOf(alarmed, { commit: commit(), defect: undefined })
    throw new Error(`${first!.checker}: ${first!.message} · ${repro}`)
  }
  const sum = (of: (result: RunResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  return {
    runs: results.length,
    simulatedMinutes: Math.round(sum(({ simMs }) => simMs) / 60_000),
    shortestMinutes: Math.min(...results.map(({ simMs }) => simMs)) / 60_000,
    commits: sum(({ commits }) => commits),
    leaderChanges: sum(({ leaderChanges }) => leaderChanges),
    tasks: sum(({ tasksStarted }) => tasksStarted),
    faults: sum(({ faults }) => Object.values(faults).reduce((all, one) => all + one, 0)),
    alarms: 0,
  }
}

const CHAOS = ['chaos', 'leaders', 'nodes', 'storage', 'away', 'stopped', 'calm']
const CHANGES = ['leaders', 'leaders', 'takeover']

const simulate =
  (scenarios: readonly string[]) =>
  async ({ seed, first, count }: Piece): Promise<Facts> =>
    judge(
      await runMany({
        scenarios,
        firstSeed: (seed + first) >>> 0,
        count,
        workers: availableParallelism(),
        stopAtAlarm: true,
      }),
    )

/** The whole product under all faults: nothing may be found. */
export const simulation = inPieces({
  name: 'simulation',
  about: 'COUNT (default 5,000) simulated worlds of ten minutes and more, every kind of fault',
  settings: { scenarios: CHAOS },
  run: simulate(CHAOS),
  full: 5_000,
  slice: 40,
  perCase: 50,
})

/** Leaders that change all the time. */
export const leaderChanges = inPieces({
  name: 'leader-changes',
  about: 'COUNT (default 300) simulated worlds whose leaders change all the time',
  settings: { scenarios: CHANGES },
  run: simulate(CHANGES),
  full: 300,
  slice: 10,
  perCase: 20,
})
