/** The control plane on Kafka, with brokers and services that fail, under load that never stops. */
import { type Anomaly } from '../../history/anomalies.ts'
import { type Loss, runFailovers } from '../../history/failovers.ts'
import { runRandomFaults } from '../../history/random-faults.ts'
import { defectProcess } from '../../sim/defects/with-defect.ts'
import { startKafkaBroker } from '../../support/kafka-broker.ts'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'
import { inPieces } from './pieces.ts'

const USERS = 8
const SHOWN = 5

/** Throws when answers and logs do not agree. */
function judge(result: {
  readonly anomalies: readonly Anomaly[]
  readonly problems: readonly string[]
}): void {
  const { anomalies, problems } = result
  const all = [...anomalies.map(({ kind, message }) => `${kind}: ${message}`), ...problems]
  if (all.length === 0) return
  throw new Error(`${all.length} anomalies: ${all.slice(0, SHOWN).join('; ')}`)
}

/** From the loss of a leader to the next effective commit of its service, ms. */
const MOST_MS: Readonly<Record<Loss, number>> = { kill: 3_000, pause: 6_000 }

const percentile = (values: readonly number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0)
}

async function failoversOf(piece: { seed: number; first: number; count: number }): Promise<Facts> {
  const broker = await startKafkaBroker()
  try {
    const result = await runFailovers({
      ...{ brokers: broker.brokers, replicationFactor: 1 },
      ...{ seed: piece.seed + piece.first, failovers: piece.count, users: USERS },
    })
    judge(result)
    const { anomalies, problems, ...facts } = result
    const times = (loss: Loss): readonly number[] =>
      result.failovers.filter((one) => one.loss === loss).map(({ ms }) => ms)
    for (const loss of ['kill', 'pause'] as const) {
      const slowest = Math.max(...times(loss))
      if (slowest <= MOST_MS[loss]) continue
      throw new Error(`${Math.round(slowest)} ms after a ${loss}; at most ${MOST_MS[loss]}`)
    }
    const p50 = { kill: percentile(times('kill'), 0.5), pause: percentile(times('pause'), 0.5) }
    const most = { kill: percentile(times('kill'), 1), pause: percentile(times('pause'), 1) }
    return { ...facts, p50, most }
  } finally {
    await broker.stop()
  }
}

/** Leaders that are killed and paused by turns. */
export const failovers = inPieces({
  name: 'failovers',
  about: 'COUNT (default 200) leaders on Kafka lost under load: killed and paused by turns',
  full: 200,
  slice: 10,
  perCase: 10,
  settings: { mostMs: MOST_MS, users: USERS },
  run: failoversOf,
})

const MINUTES = 130
const SLICE_MINUTES = 4
const CASE_MINUTES = 10
/** Without its protection a history shows an anomaly within this. */
const UNPROTECTED_MINUTES = 10
const UNPROTECTED_PART_MINUTES = 2
/** Answers leave when the broker has the commit: nobody asks whether it counts. */
const UNPROTECTED = 'answer-before-read-back'

const minutesOf = ({ count, slice }: CampaignInit): number =>
  count ?? (slice ? SLICE_MINUTES : MINUTES)

async function protectedRun(
  init: { brokers: number; seed: number; minutes: number },
  say: (line: string) => void,
): Promise<Facts> {
  const result = await runRandomFaults({ ...init, users: USERS, say })
  judge(result)
  const { anomalies, problems, ...facts } = result
  return facts
}

async function unprotectedRun(seed: number, say: (line: string) => void): Promise<Facts> {
  const { flags, env } = defectProcess(UNPROTECTED)
  const { SAI_SIM_DEFECT = '' } = env
  const switchedOff = { SAI_SIM_DEFECT, NODE_OPTIONS: flags.join(' ') }
  let seconds = 0
  for (let part = 0; part < UNPROTECTED_MINUTES / UNPROTECTED_PART_MINUTES; part += 1) {
    const init = { brokers: 1, seed: seed + part, minutes: UNPROTECTED_PART_MINUTES }
    const result = await runRandomFaults({ ...init, users: USERS, env: switchedOff, say })
    seconds += result.seconds
    const [first] = result.anomalies
    if (first !== undefined) {
      return { seconds, anomalies: result.anomalies.length, first, faults: result.faults }
    }
  }
  throw new Error(`no anomaly within ${UNPROTECTED_MINUTES} minutes, and nothing protects`)
}

function cases(init: CampaignInit): readonly Case[] {
  const all = minutesOf(init)
  const each = init.slice ? all / 2 : CASE_MINUTES
  const flags = `--seed ${init.seed} --count ${all}${init.slice ? ' --slice' : ''}`
  const repro = (index: number): string =>
    `npm run campaign -- broker-faults ${flags} --only ${index + 1}`
  const list = Array.from({ length: Math.ceil(all / each) }, (_, index): Case => {
    const brokers = index % 2 === 0 ? 1 : 3
    const run = { brokers, seed: init.seed + index, minutes: Math.min(each, all - index * each) }
    const where = brokers === 1 ? 'one broker' : 'three brokers'
    return {
      name: `${index + 1}: ${run.minutes} minutes, ${where}`,
      repro: repro(index),
      run: (say) => protectedRun(run, say),
    }
  })
  if (init.slice) return list
  const last: Case = {
    name: `unprotected: an anomaly within ${UNPROTECTED_MINUTES} minutes`,
    repro: repro(list.length),
    run: (say) => unprotectedRun(init.seed, say),
  }
  return [...list, last]
}

/** Brokers, services and the network between them fail; no answer may turn out to be wrong. */
export const brokerFaults: Campaign = {
  name: 'broker-faults',
  about: `COUNT (default ${MINUTES}) minutes of random faults of brokers, services and network`,
  settings: (init) => ({ minutes: minutesOf(init), users: USERS, unprotected: UNPROTECTED }),
  cases,
}
