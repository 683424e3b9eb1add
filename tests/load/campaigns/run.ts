import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { invariant } from '@serverless-ai/kernel'
import { freshSeed } from '../../support/random.ts'
import { commit, machine } from '../report.ts'
import type { Campaign, Case, CaseResult, Facts } from './campaign.ts'
import {
  dropState,
  loadState,
  RESULTS,
  type State,
  type Stretch,
  saveState,
  writeWhole,
} from './state.ts'

/** How a campaign is run. */
export interface RunOptions {
  readonly seed: number | undefined
  readonly count: number | undefined
  /** No new case is started after so long. */
  readonly hours: number
  /** The small version: nothing is kept. */
  readonly slice: boolean
  /** Number of the only case to run, from 1: nothing is kept. */
  readonly only: number | undefined
  /** Cases that run at once; undefined = as the campaign says. */
  readonly parallel: number | undefined
}

const HOUR_MS = 3_600_000
const say = (line: string): void => console.log(line)

async function runCase(one: Case): Promise<CaseResult> {
  const startedMs = performance.now()
  const base = { name: one.name, repro: one.repro }
  const seconds = () => Number(((performance.now() - startedMs) / 1_000).toFixed(1))
  try {
    const facts = await one.run((line) => say(`    ${line}`))
    return { ...base, ok: true, seconds: seconds(), facts, failure: '' }
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error)
    return { ...base, ok: false, seconds: seconds(), facts: {}, failure }
  }
}

const resultsOf = ({ stretches }: State): readonly CaseResult[] =>
  stretches.flatMap((stretch) => stretch.results)

/** One run of a campaign. */
class Run {
  readonly #campaign: Campaign
  readonly #options: RunOptions
  readonly #kept: boolean
  #state: State

  constructor(campaign: Campaign, options: RunOptions) {
    this.#campaign = campaign
    this.#options = options
    this.#kept = !options.slice && options.only === undefined
    this.#state = this.#begin()
  }

  #begin(): State {
    const { seed, count } = this.#options
    const known = this.#kept ? loadState(this.#campaign.name) : undefined
    const same =
      known !== undefined && known.count === count && (seed === undefined || seed === known.seed)
    if (same) {
      say(`goes on after ${resultsOf(known).length} cases, seed ${known.seed}`)
      return { ...known, stretches: [...known.stretches, this.#stretch()] }
    }
    return { seed: seed ?? freshSeed(), count, stretches: [this.#stretch()] }
  }

  #stretch(): Stretch {
    const startedAt = new Date().toISOString()
    return { commit: commit(), startedAt, parallel: this.#parallel, hours: 0, results: [] }
  }

  get #parallel(): number {
    return this.#options.parallel ?? this.#campaign.parallel ?? 1
  }

  /** Returns the exit status. */
  async run(): Promise<number> {
    const { name } = this.#campaign
    const { seed, count } = this.#state
    const { slice, only, hours } = this.#options
    const all = this.#campaign.cases({ seed, count, slice })
    invariant(new Set(all.map((one) => one.name)).size === all.length, `${name}: names repeat`)
    say(`campaign ${name}, seed ${seed}, commit ${commit()}, ${all.length} cases`)
    const done = new Set(resultsOf(this.#state).map((result) => result.name))
    const chosen = only === undefined ? all : all.slice(only - 1, only)
    if (chosen.length === 0) {
      say(only === undefined ? 'there are no cases' : `there is no case ${only}`)
      return 2
    }
    const waiting = chosen.filter((one) => !done.has(one.name))
    const deadlineMs = Date.now() + hours * HOUR_MS
    const worker = async (): Promise<void> => {
      while (Date.now() < deadlineMs) {
        const one = waiting.shift()
        if (one === undefined) return
        this.#note(await runCase(one), chosen.length)
      }
    }
    await Promise.all(Array.from({ length: this.#parallel }, worker))
    return this.#end(chosen.length)
  }

  #note(result: CaseResult, total: number): void {
    const now = this.#state.stretches.at(-1)!
    const hours = Number(((Date.now() - Date.parse(now.startedAt)) / HOUR_MS).toFixed(3))
    const grown = { ...now, hours, results: [...now.results, result] }
    const stretches = [...this.#state.stretches.slice(0, -1), grown]
    this.#state = { ...this.#state, stretches }
    if (this.#kept) saveState(this.#campaign.name, this.#state)
    const number = `${resultsOf(this.#state).length}/${total}`
    const verdict = result.ok ? 'ok' : `FAILED: ${result.failure}\n    again: ${result.repro}`
    say(`  ${number} ${result.name} (${result.seconds} s): ${verdict}`)
  }

  #end(total: number): number {
    const results = resultsOf(this.#state)
    const failed = results.filter(({ ok }) => !ok).length
    const missing = total - results.length
    if (missing > 0) say(`${missing} cases are left: run it again to go on`)
    if (this.#kept && results.length > 0) this.#write(missing)
    say(`${results.length - failed} passed, ${failed} failed`)
    return failed > 0 || missing > 0 ? 1 : 0
  }

  #write(missing: number): void {
    const { name } = this.#campaign
    mkdirSync(RESULTS, { recursive: true })
    const path = join(RESULTS, `${name}.json`)
    writeWhole(path, resultFile(this.#campaign, this.#state, missing))
    if (missing === 0) dropState(name)
    say(`written: ${path}`)
  }
}

/** What is committed of a campaign. */
function resultFile(campaign: Campaign, { seed, count, stretches }: State, missing: number): Facts {
  const { name } = campaign
  const results = stretches.flatMap((stretch) => stretch.results)
  const failures = results.filter(({ ok }) => !ok)
  const countFlag = count === undefined ? '' : ` --count ${count}`
  const hours = stretches.reduce((sum, stretch) => sum + stretch.hours, 0)
  return {
    campaign: name,
    command: `npm run campaign -- ${name} --seed ${seed}${countFlag}`,
    seed,
    count,
    machine: machine(),
    hours: Number(hours.toFixed(3)),
    settings: campaign.settings({ seed, count, slice: false }),
    passed: results.length - failures.length,
    failed: failures.length,
    missing,
    failures: failures.map(({ name: at, failure, repro }) => ({ name: at, failure, repro })),
    stretches: stretches.filter((stretch) => stretch.results.length > 0),
  }
}

/** Runs a campaign; returns the exit status. */
export function runCampaign(campaign: Campaign, options: RunOptions): Promise<number> {
  return new Run(campaign, options).run()
}
