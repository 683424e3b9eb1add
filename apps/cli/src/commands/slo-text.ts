/** Objectives, their budgets and ledgers as people read them. */
import {
  ActionStep_Action,
  type BurnRule,
  type BurnState,
  Indicator,
  type Objective,
  type ObjectiveStatus,
  Severity,
  type Statement,
  type TelemetrySource,
} from '@serverless-ai/contracts/objective/v1/objective'
import { clockTime, duration, plain, table } from '../output/text.ts'

export const INDICATORS: ReadonlyMap<string, Indicator> = new Map([
  ['ttft', Indicator.TTFT],
  ['tpot', Indicator.TPOT],
  ['e2e', Indicator.E2E],
  ['availability', Indicator.AVAILABILITY],
  ['queue-wait', Indicator.QUEUE_WAIT],
  ['finish-by', Indicator.FINISH_BY],
])

export const ACTIONS: ReadonlyMap<string, ActionStep_Action> = new Map([
  ['alert', ActionStep_Action.ALERT],
  ['scale', ActionStep_Action.SCALE],
  ['shed', ActionStep_Action.SHED],
  ['migrate', ActionStep_Action.MIGRATE],
  ['preempt', ActionStep_Action.PREEMPT],
  ['credit', ActionStep_Action.CREDIT],
])

const wordOf = <T>(words: ReadonlyMap<string, T>, value: T | undefined): string =>
  [...words].find(([, known]) => known === value)?.[0] ?? 'unknown'

const percent = (ppm: number | bigint): string => `${Number((Number(ppm) / 10_000).toFixed(4))} %`
const rate = (milli: bigint | undefined): string =>
  milli === undefined ? '-' : String(Number((Number(milli) / 1_000).toFixed(2)))

/** A whole number of the largest unit that fits: `5 s`, `1 h`, `30 d`. */
export function span(ms: bigint | number): string {
  const value = Number(ms)
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ]
  const [unit, length] = units.find(([, size]) => value >= size && value % size === 0) ?? ['ms', 1]
  return `${value / length} ${unit}`
}

const isJobs = ({ indicator }: Objective): boolean =>
  indicator === Indicator.QUEUE_WAIT || indicator === Indicator.FINISH_BY

/** `99.9 % e2e within 250 ms over 30 d`. */
export function promiseText(objective: Objective): string {
  const { indicator, targetPpm, thresholdUs, windowMs } = objective
  const micros = Number(thresholdUs)
  const limit = micros % 1_000 === 0 ? span(micros / 1_000) : `${micros / 1_000} ms`
  const within = micros === 0 ? '' : ` within ${limit}`
  return `${percent(targetPpm)} ${wordOf(INDICATORS, indicator)}${within} over ${span(windowMs)}`
}

function scopeText(objective: Objective): string {
  const { tenant, service, queue, class: name } = objective
  const parts = [
    `tenant ${tenant === '' ? '(all)' : tenant}`,
    service === '' ? '' : `${isJobs(objective) ? 'job' : 'service'} ${service}`,
    name === '' ? '' : `class ${name}`,
    queue === '' ? '' : `queue ${queue}`,
  ]
  return parts.filter(Boolean).join(', ')
}

const leftText = (left: bigint | undefined): string => (left === undefined ? '-' : percent(left))

/** `sai slo list`. */
export function listText(all: readonly ObjectiveStatus[]): string {
  if (all.length === 0) return 'no objectives; `sai slo create` declares one\n'
  const rows = all.flatMap((status) => {
    const { objective, state, attainedPpm, budgetLeftPpm, counts, dataState } = status
    if (objective === undefined) return []
    const attained = attainedPpm === undefined ? '-' : percent(attainedPpm)
    return [
      [
        plain(objective.name),
        plain(objective.tenant || '(all)'),
        dataState === 'OK' ? state : `${state} (${dataState})`,
        attained,
        leftText(budgetLeftPpm),
        `${(counts?.good ?? 0n) + (counts?.bad ?? 0n)}`,
        promiseText(objective),
      ],
    ]
  })
  const heading = ['NAME', 'TENANT', 'STATE', 'ATTAINED', 'BUDGET LEFT', 'EVENTS', 'PROMISE']
  return table([heading, ...rows])
}

const severityWord = (severity: Severity | undefined): string =>
  severity === Severity.PAGE ? 'page' : 'ticket'

function ruleRow(rule: BurnRule): string[] {
  return [
    severityWord(rule.severity),
    `${percent(rule.budgetPpm)} in ${span(rule.longWindowMs)} (and ${span(rule.shortWindowMs)})`,
    rate(rule.burnMilli),
  ]
}

const HELD: ReadonlyMap<string, string> = new Map([
  ['FEW_EVENTS', 'held: too few events'],
  ['FEW_BAD', 'held: too few bad ones'],
])

function burnRow({ rule, longBurnMilli, shortBurnMilli, ...state }: BurnState): string[] {
  if (rule === undefined) return []
  const bad = `${state.longBad} of ${state.longEvents}`
  const says = state.breachId === '' ? (HELD.get(state.heldBy) ?? 'calm') : 'ALERT'
  return [...ruleRow(rule), rate(longBurnMilli), rate(shortBurnMilli), bad, says]
}

/** What the rules of an objective can do: told when it is declared. */
export function rulesText({ rules, minSample }: Objective): string {
  const heading = [
    'ALERT',
    'WHEN IT BURNS',
    'RATE',
    'OUTAGE FOUND IN',
    'FROM',
    'POWER',
    'FALSE/100 D',
  ]
  const rows = rules.map((rule) => [
    ...ruleRow(rule),
    duration(Number(rule.outageDetectionMs)),
    `${rule.minRatePerHour}/h, ${rule.minBad} bad of ${minSample}`,
    percent(rule.powerMicro),
    rule.severity === Severity.PAGE
      ? `< ${Math.ceil(Number(rule.falseAlertsMicro) / 10_000) / 100}`
      : '-',
  ])
  return table([heading, ...rows])
}

function sourceLine(source: TelemetrySource, nowMs: number): string {
  const { missingBatches, lostBatches, lateSamples, rejectedSamples, futureSamples } = source
  const lost = lostBatches + missingBatches + source.droppedSamples
  const odd = [
    lost === 0n
      ? ''
      : `loss known: ${lostBatches + missingBatches} batches, ` +
        `${source.droppedSamples} samples`,
    lateSamples === 0n ? '' : `${lateSamples} late`,
    rejectedSamples === 0n ? '' : `${rejectedSamples} impossible`,
    futureSamples === 0n ? '' : `${futureSamples} from the future`,
  ].filter(Boolean)
  const heard = duration(nowMs - Number(source.heardMs))
  const more = odd.length === 0 ? 'nothing missing' : odd.join(', ')
  return `  ${plain(source.source)}: ${source.state}, heard ${heard} ago, ${more}\n`
}

/** `sai slo status NAME`. */
export function statusText(status: ObjectiveStatus, sources: readonly TelemetrySource[]): string {
  const { objective, counts, atMs } = status
  if (objective === undefined) return ''
  const { good = 0n, bad = 0n, excluded = 0n, unknown = 0n, late = 0n } = counts ?? {}
  const attained = status.attainedPpm === undefined ? '-' : percent(status.attainedPpm)
  const lines = [
    `${plain(objective.name)} (${objective.objectiveId}): ${status.state}`,
    `promise     ${promiseText(objective)}; ${plain(scopeText(objective))}`,
    `attained    ${attained} of ${good + bad} (${bad} bad); ${excluded} excluded, ` +
      `${unknown} unknown, ${late} late`,
    `budget left ${leftText(status.budgetLeftPpm)}`,
    ...(status.dataState === 'OK' ? [] : [`data        ${status.dataState}: no alert ends`]),
    ...status.breaches.map(
      ({ breachId, rule, fromMs, longBurnMilli, shortBurnMilli }) =>
        `breach      ${severityWord(rule?.severity)} since ${clockTime(fromMs)}, burn ` +
        `${rate(longBurnMilli)} and ${rate(shortBurnMilli)} (${breachId})`,
    ),
    ...status.actions.map(
      ({ step, atMs: askedMs }) =>
        `asked for   ${wordOf(ACTIONS, step?.action)}` +
        `${step === undefined || step.class === '' ? '' : ` ${plain(step.class)}`} ` +
        `since ${clockTime(askedMs)}`,
    ),
  ]
  const heading = ['ALERT', 'WHEN IT BURNS', 'RATE', 'LONG', 'SHORT', 'BAD', 'NOW']
  const told = sources.map((source) => sourceLine(source, Number(atMs))).join('')
  const from = told === '' ? '' : `sources\n${told}`
  return `${lines.join('\n')}\n\n${table([heading, ...status.burns.map(burnRow)])}${from}`
}

/** `sai slo ledger NAME`. */
export function ledgerText(closed: readonly Statement[], open: readonly Statement[]): string {
  const all = [...closed, ...open]
  if (all.length === 0) return 'nothing was counted yet\n'
  const rows = all.map(({ number, dayMs, tenant, counts, hash, lostBatchesTotal }) => {
    const { good = 0n, bad = 0n, excluded = 0n, unknown = 0n, late = 0n } = counts ?? {}
    const attained = good + bad === 0n ? '-' : percent((good * 1_000_000n) / (good + bad))
    return [
      number === 0n ? 'open' : String(number),
      new Date(Number(dayMs)).toISOString().slice(0, 10),
      plain(tenant),
      attained,
      ...[good, bad, excluded, unknown, late, lostBatchesTotal].map(String),
      hash === '' ? '-' : hash.slice(0, 16),
    ]
  })
  const counts = ['GOOD', 'BAD', 'EXCLUDED', 'UNKNOWN', 'LATE', 'LOST BATCHES']
  return table([['NO', 'DAY', 'TENANT', 'ATTAINED', ...counts, 'HASH'], ...rows])
}
