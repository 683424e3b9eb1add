import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freshSeed } from '../../support/random.ts'
import { commit, machine } from '../report.ts'
import type { Campaign, Case, CaseResult } from './campaign.ts'
import { dropState, loadState, RESULTS, type State, saveState, writeWhole } from './state.ts'

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
      known !== undefined &&
      known.count === count &&
      known.commit === commit() &&
      (seed === undefined || seed === known.seed)
    if (same) {
      say(`resumes after ${known.results.length} cases, seed ${known.seed}`)
      return known
    }
    const started = { commit: commit(), startedMs: Date.now(), results: [] }
    return { ...started, seed: seed ?? freshSeed(), count }
  }

  /** Returns the exit status. */
  async run(): Promise<number> {
    const { name, parallel = 1 } = this.#campaign
    const { seed, count, commit: at } = this.#state
    const { slice, only, hours } = this.#options
    const all = this.#campaign.cases({ seed, count, slice })
    say(`campaign ${name}, seed ${seed}, commit ${at}, ${all.length} cases`)
    const done = new Set(this.#state.results.map((result) => result.name))
    const chosen = only === undefined ? all : all.slice(only - 1, only)
    const waiting = chosen.filter((one) => !done.has(one.name))
    const deadlineMs = Date.now() + hours * HOUR_MS
    const worker = async (): Promise<void> => {
      while (Date.now() < deadlineMs) {
        const one = waiting.shift()
        if (one === undefined) return
        this.#note(await runCase(one), chosen.length)
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    return this.#end(chosen.length)
  }

  #note(result: CaseResult, total: number): void {
    this.#state = { ...this.#state, results: [...this.#state.results, result] }
    if (this.#kept) saveState(this.#campaign.name, this.#state)
    const number = `${this.#state.results.length}/${total}`
    const verdict = result.ok ? 'ok' : `FAILED: ${result.failure}\n    again: ${result.repro}`
    say(`  ${number} ${result.name} (${result.seconds} s): ${verdict}`)
  }

  #end(total: number): number {
    const { results } = this.#state
    const failed = results.filter(({ ok }) => !ok).length
    const missing = total - results.length
    if (missing > 0) say(`${missing} cases are left: run it again to go on`)
    else if (this.#kept) this.#write(failed)
    say(`${results.length - failed} passed, ${failed} failed`)
    return failed > 0 || missing > 0 ? 1 : 0
  }

  #write(failed: number): void {
    const { name } = this.#campaign
    const { seed, count, commit: at, startedMs, results } = this.#state
    const countFlag = count === undefined ? '' : ` --count ${count}`
    mkdirSync(RESULTS, { recursive: true })
    const path = join(RESULTS, `${name}.json`)
    writeWhole(path, {
      campaign: name,
      command: `npm run campaign -- ${name} --seed ${seed}${countFlag}`,
      commit: at,
      seed,
      machine: machine(),
      startedAt: new Date(startedMs).toISOString(),
      hours: Number(((Date.now() - startedMs) / HOUR_MS).toFixed(3)),
      settings: this.#campaign.settings({ seed, count, slice: false }),
      passed: results.length - failed,
      failed,
      failures: results
        .filter(({ ok }) => !ok)
        .map(({ name: at_, failure, repro }) => ({ name: at_, failure, repro })),
      cases: results.map(({ name: case_, ok, seconds, facts }) => ({
        name: case_,
        ok,
        seconds,
        facts,
      })),
    })
    dropState(name)
    say(`written: ${path}`)
  }
}

/** Runs a campaign; returns the exit status. */
export function runCampaign(campaign: Campaign, options: RunOptions): Promise<number> {
  return new Run(campaign, options).run()
}
