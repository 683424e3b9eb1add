import type { Requests } from '@serverless-ai/sim/serving'
import { type Cell, DEVICES, STATIC_REPLICAS, scaled, WARM_UP_MS } from '../baselines/cell.ts'
import { type CellReport, study } from '../baselines/study.ts'
import { loadSample, loadTrace, TRACES } from '../baselines/traces.ts'
import type { Campaign, Case } from './campaign.ts'

const STARTUPS_MS = [5_000, 30_000, 120_000, 300_000]
/** Where bursts are short, more than the fixed fleet has makes a difference. */
const WIDE = { trace: 'azure-code', budget: 24 } as const

/** Traces at their rates: found once for all start-up times. */
const found = new Map<string, ReturnType<typeof scaled>>()

function rateOf(name: string, load: () => Requests, seed: number, fromMs: number) {
  const known = found.get(name)
  if (known !== undefined) return known
  const result = scaled(load(), { fromMs, seed })
  found.set(name, result)
  return result
}

/** What must hold of any cell, whoever wins. */
function check({ static: whole, oracle, ours, sweep }: CellReport): void {
  const must = (holds: boolean, what: string) => {
    if (!holds) throw new Error(what)
  }
  must(whole.met, 'the fixed fleet misses the objective')
  must(
    oracle.met && oracle.deviceHours <= whole.deviceHours,
    'the oracle is worse than a fixed fleet',
  )
  for (const one of [whole, oracle, ours, ...sweep]) {
    must(one.lost === 0, `${one.policy} lost ${one.lost} requests`)
  }
}

function cell(
  name: string,
  load: () => Requests,
  options: Omit<Cell, 'requests'>,
  repro: string,
): Case {
  const { seed, startupMs, fromMs, budget } = options
  const wide = budget > STATIC_REPLICAS ? `, budget ${budget}` : ''
  return {
    name: `${name}, start-up ${startupMs / 1_000} s${wide}`,
    repro,
    run: async (say) => {
      const { factor, requests } = rateOf(name, load, seed, fromMs)
      const one: Cell = { requests, ...options }
      const report = study(one, say)
      check(report)
      const count = requests.arrivalMs.length
      return { trace: name, startupMs, budget, rateFactor: factor, requests: count, ...report }
    },
  }
}

/**
 * Attainment against device hours on public traces. Goals that are missed are part of the result
 * (`goal`), not failures of the campaign.
 */
export const scalingStudy: Campaign = {
  name: 'scaling-study',
  about: 'autoscalers on four public traces (SAI_SHARED_DIR) at four start-up times',
  settings: () => ({
    staticReplicas: STATIC_REPLICAS,
    devicesPerReplica: DEVICES,
    warmUpMs: WARM_UP_MS,
    startupsMs: STARTUPS_MS,
    budgets: [STATIC_REPLICAS, WIDE.budget],
  }),
  cases({ seed, slice }) {
    const flags = `--seed ${seed}`
    if (slice) {
      // Ten minutes of one trace, from the repository.
      const budget = STATIC_REPLICAS
      const options = { seed, budget, startupMs: 5_000, fromMs: WARM_UP_MS / 2 }
      return [cell('azure-code (sample)', loadSample, options, `… scaling-study --slice ${flags}`)]
    }
    const rows = [...TRACES.map((trace) => ({ trace, budget: STATIC_REPLICAS })), WIDE]
    return rows.flatMap(({ trace, budget }, row) =>
      STARTUPS_MS.map((startupMs, column) => {
        const only = row * STARTUPS_MS.length + column + 1
        const repro = `npm run campaign -- scaling-study ${flags} --only ${only}`
        const options = { seed, startupMs, budget, fromMs: WARM_UP_MS }
        return cell(trace, () => loadTrace(trace), options, repro)
      }),
    )
  },
}
