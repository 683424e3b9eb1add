/** Seeds of the simulator, in pieces that can be resumed. */
import { availableParallelism } from 'node:os'
import { type RunResult, runMany } from '@serverless-ai/sim'
import { reproOf } from '../../sim/text.ts'
import { commit } from '../report.ts'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

interface SimulationsInit {
  readonly name: string
  readonly about: string
  readonly scenarios: readonly string[]
  /** Runs of the full campaign, of a slice, and how many make one case. */
  readonly full: number
  readonly slice: number
  readonly perCase: number
}

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

function simulations(init: SimulationsInit): Campaign {
  const total = ({ count, slice }: CampaignInit): number =>
    count ?? (slice ? init.slice : init.full)
  return {
    name: init.name,
    about: init.about,
    settings: (options) => ({ runs: total(options), scenarios: init.scenarios }),
    cases(options) {
      const all = total(options)
      const flags = `--seed ${options.seed} --count ${all}`
      return Array.from({ length: Math.ceil(all / init.perCase) }, (_, index): Case => {
        const first = index * init.perCase
        const count = Math.min(init.perCase, all - first)
        return {
          name: `${first + 1} to ${first + count}`,
          repro: `npm run campaign -- ${init.name} ${flags} --only ${index + 1}`,
          run: async () =>
            judge(
              await runMany({
                scenarios: init.scenarios,
                firstSeed: (options.seed + first) >>> 0,
                count,
                workers: availableParallelism(),
                stopAtAlarm: true,
              }),
            ),
        }
      })
    },
  }
}

/** The whole product under all faults: nothing may be found. */
export const simulation = simulations({
  name: 'simulation',
  about: 'COUNT (default 5,000) simulated worlds of ten minutes and more, every kind of fault',
  scenarios: ['chaos', 'leaders', 'nodes', 'storage', 'stopped', 'calm'],
  full: 5_000,
  slice: 40,
  perCase: 50,
})

/** Leaders that change all the time. */
export const leaderChanges = simulations({
  name: 'leader-changes',
  about: 'COUNT (default 300) simulated worlds whose leaders change all the time',
  scenarios: ['leaders', 'leaders', 'takeover'],
  full: 300,
  slice: 10,
  perCase: 20,
})
