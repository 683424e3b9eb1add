import type { PlatformClient } from '@serverless-ai/client'
import {
  type ActionStep,
  BurnRule,
  type BurnRule as BurnRuleType,
  ExplainObjectiveResponse,
  GetLedgerResponse,
  GetObjectiveStatusResponse,
  Indicator,
  ListObjectivesResponse,
  Objective,
  type ObjectiveStatus,
  Severity,
} from '@serverless-ai/contracts/objective/v1/objective'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { CliError } from '../exit.ts'
import { datedStory } from '../output/story.ts'
import { answer, type CommandScope, wholeNumber, withGlobals } from './shared.ts'
import {
  ACTIONS,
  INDICATORS,
  ledgerText,
  listText,
  promiseText,
  rulesText,
  statusText,
} from './slo-text.ts'

/** Pages read before a list is cut, 1,000 entries each. */
const PAGES_MAX = 10

const UNITS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** `250ms`, `1.5s`, `30m`, `1h`, `30d` as ms. */
function timeOf(flag: string, text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(us|ms|s|m|h|d)$/.exec(text) ?? []
  const factor = UNITS.get(unit)
  if (factor !== undefined) return Number(digits) * factor
  throw new CliError('USAGE', `${flag} takes a time such as 250ms, 30m, 1h or 30d, not "${text}"`)
}

/** `99.9` or `99.9%` as parts per million. */
function shareOf(flag: string, text: string): number {
  const [, digits] = /^(\d{1,3}(?:\.\d{1,4})?)%?$/.exec(text) ?? []
  if (digits !== undefined) return Math.round(Number(digits) * 10_000)
  throw new CliError('USAGE', `${flag} takes a percentage such as 99.9, not "${text}"`)
}

/** `page:2%:1h` or `page:2%:1h:5m`. */
function ruleOf(text: string, rules: readonly BurnRuleType[] = []): BurnRuleType[] {
  const [word = '', share = '', long = '', short = ''] = text.split(':')
  const severity = severityOf(word)
  if (severity === undefined || long === '') {
    const hint = '--rule takes SEVERITY:BUDGET%:LONG[:SHORT], for example page:2%:1h:5m'
    throw new CliError('USAGE', `${hint}, not "${text}"`)
  }
  const rule = {
    ...BurnRule.fromPartial({ budgetPpm: shareOf('--rule', share) }),
    severity,
    longWindowMs: BigInt(Math.round(timeOf('--rule', long))),
    shortWindowMs: short === '' ? 0n : BigInt(Math.round(timeOf('--rule', short))),
  }
  return [...rules, rule]
}

const severityOf = (word: string): Severity | undefined =>
  word === 'page' ? Severity.PAGE : word === 'ticket' ? Severity.TICKET : undefined

/** `scale`, `shed:batch`, `scale@30s`, `shed:batch@1m`. */
function stepOf(severity: Severity) {
  return (text: string, steps: readonly ActionStep[] = []): ActionStep[] => {
    const [what = '', after = ''] = text.split('@')
    const [word = '', name = ''] = what.split(':')
    const action = ACTIONS.get(word)
    if (action === undefined) {
      const known = [...ACTIONS.keys()].join(', ')
      throw new CliError('USAGE', `"${word}" is no action; there are ${known}`)
    }
    const afterMs = after === '' ? 0n : BigInt(Math.round(timeOf('an action', after)))
    return [...steps, { action, severity, afterMs, class: name }]
  }
}

interface CreateOptions extends Globals {
  readonly indicator: string
  readonly target: string
  readonly within?: string
  readonly window: string
  readonly tenant?: string
  readonly service?: string
  readonly class?: string
  readonly queue?: string
  readonly minSample: number
  readonly expected: number
  readonly excludeShed?: boolean
  readonly countCallerErrors?: boolean
  readonly rule?: BurnRuleType[]
  readonly onPage?: ActionStep[]
  readonly onTicket?: ActionStep[]
  readonly dryRun?: boolean
}

function wantedOf(name: string, options: CreateOptions): Objective {
  const indicator = INDICATORS.get(options.indicator)
  if (indicator === undefined) {
    const known = [...INDICATORS.keys()].join(', ')
    throw new CliError('USAGE', `--indicator is one of ${known}, not "${options.indicator}"`)
  }
  if ((indicator === Indicator.AVAILABILITY) === (options.within !== undefined)) {
    throw new CliError('USAGE', '--within TIME belongs to every indicator but availability')
  }
  const within = options.within === undefined ? 0 : timeOf('--within', options.within)
  const { tenant = '', service = '', class: className = '', queue = '' } = options
  return {
    ...Objective.fromPartial({ name, tenant, service, queue, class: className }),
    indicator,
    targetPpm: shareOf('--target', options.target),
    thresholdUs: BigInt(Math.round(within * 1_000)),
    windowMs: BigInt(Math.round(timeOf('--window', options.window))),
    minSample: options.minSample,
    expectedPerHour: options.expected,
    exclusions: {
      shed: options.excludeShed ?? false,
      countCallerErrors: options.countCallerErrors ?? false,
      maintenance: [],
    },
    rules: options.rule ?? [],
    actions: [...(options.onPage ?? []), ...(options.onTicket ?? [])],
  }
}

const SAMPLE_MAX = 1_000_000
const RATE_MAX = 1_000_000_000

function addCreate(slo: Command, { io, checkout }: CommandScope): void {
  withGlobals(slo.command('create'))
    .description('declare an objective')
    .argument('<name>', '1 to 63 of a-z, 0-9 and "-"')
    .requiredOption('--indicator <what>', [...INDICATORS.keys()].join(', '))
    .requiredOption('--target <percent>', 'share of good ones, 50 to 99.9999')
    .option('--within <time>', 'limit of the indicator: 250ms, 2s, 10m')
    .option('--window <time>', 'window of the error budget', '30d')
    .option('--service <name>', 'service (name or job id); for jobs the name of the job')
    .option('--class <name>', 'class of requests')
    .option('--queue <name>', 'queue of jobs')
    .option('--tenant <tenant>', 'whose; for operators, empty = all')
    .option(
      '--min-sample <n>',
      'fewest events for an alert',
      wholeNumber('--min-sample', 1, SAMPLE_MAX),
      10,
    )
    .option(
      '--expected <n>',
      'events an hour that are expected; 0 = not known',
      wholeNumber('--expected', 0, RATE_MAX),
      0,
    )
    .option('--exclude-shed', 'shed requests do not count')
    .option('--count-caller-errors', 'what callers got wrong counts as bad')
    .option('--rule <rule>', 'SEVERITY:BUDGET%:LONG[:SHORT]; repeat it; default: four', ruleOf)
    .option('--on-page <action>', 'ACTION[:CLASS][@AFTER]; repeat it', stepOf(Severity.PAGE))
    .option('--on-ticket <action>', 'ACTION[:CLASS][@AFTER]; repeat it', stepOf(Severity.TICKET))
    .option('--dry-run', 'say how it would be, and declare nothing')
    .action(async (name: string, options: CreateOptions) => {
      const wanted = wantedOf(name, options)
      const connection = resolveConnection({ globals: options, io, checkout })
      const validateOnly = options.dryRun === true
      const made = await withPlatform(io, connection, (platform) =>
        platform.createObjective(wanted, { validateOnly }),
      )
      const id = validateOnly ? 'not declared' : made.objectiveId
      answer(io, options, {
        json: Objective.toJSON(made),
        text: () => `${made.name} (${id}): ${promiseText(made)}\n\n${rulesText(made)}`,
      })
    })
}

async function allObjectives(platform: PlatformClient): Promise<ObjectiveStatus[]> {
  const all: ObjectiveStatus[] = []
  let pageToken = ''
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const request = { pageSize: 1_000, pageToken, minPosition: '' }
    const { objectives, nextPageToken } = await platform.objectives.listObjectives(request)
    all.push(...objectives)
    if (nextPageToken === '') break
    pageToken = nextPageToken
  }
  return all
}

interface LedgerOptions extends Globals {
  readonly tenant?: string
  readonly last: number
}

/** `sai slo` */
export function addSlo(program: Command, scope: CommandScope): void {
  const { io, checkout } = scope
  const slo = program.command('slo').description('objectives, error budgets and their ledgers')
  const asked = <T>(options: Globals, call: (platform: PlatformClient) => Promise<T>): Promise<T> =>
    withPlatform(io, resolveConnection({ globals: options, io, checkout }), call)
  withGlobals(slo.command('list'))
    .description('objectives and how they stand')
    .action(async (options: Globals) => {
      const objectives = await asked(options, allObjectives)
      const json = ListObjectivesResponse.toJSON({ objectives, nextPageToken: '', position: '' })
      answer(io, options, { json, text: () => listText(objectives) })
    })
  withGlobals(slo.command('status'))
    .description('budget, burn rates and alerts of an objective, and what they stand on')
    .argument('<objective>', 'name or id')
    .action(async (objective: string, options: Globals) => {
      const told = await asked(options, (platform) =>
        platform.objectives.getObjectiveStatus({ objective, minPosition: '' }),
      )
      const { status, sources } = told
      answer(io, options, {
        json: GetObjectiveStatusResponse.toJSON(told),
        text: () => (status === undefined ? '' : statusText(status, sources)),
      })
    })
  addCreate(slo, scope)
  withGlobals(slo.command('explain'))
    .description('what happened to an objective, with the numbers')
    .argument('<objective>', 'name or id')
    .action(async (objective: string, options: Globals) => {
      const told = await asked(options, (platform) =>
        platform.objectives.explainObjective({ objective, untilMs: 0n }),
      )
      const json = ExplainObjectiveResponse.toJSON(told)
      answer(io, options, { json, text: () => datedStory(told.story) })
    })
  withGlobals(slo.command('ledger'))
    .description('statements of closed days, and the open ones')
    .argument('<objective>', 'name or id')
    .option('--tenant <tenant>', 'whose (operators); default: that of the objective')
    .option('--last <n>', 'statements', wholeNumber('--last', 1, 100), 31)
    .action(async (objective: string, options: LedgerOptions) => {
      const { tenant = '', last: limit } = options
      const told = await asked(options, (platform) =>
        platform.objectives.getLedger({ objective, tenant, limit }),
      )
      const json = GetLedgerResponse.toJSON(told)
      answer(io, options, { json, text: () => ledgerText(told.statements, told.open) })
    })
  withGlobals(slo.command('delete'))
    .description('end an objective; its ledger is closed')
    .argument('<objective>', 'name or id')
    .action(async (typed: string, options: Globals) => {
      const objectiveId = await asked(options, async (platform) => {
        const request = { objective: typed, minPosition: '' }
        const { objective } = await platform.objectives.getObjective(request)
        const id = objective?.objectiveId ?? ''
        await platform.deleteObjective(id)
        return id
      })
      answer(io, options, { json: { objectiveId }, text: () => `${objectiveId} has ended\n` })
    })
}
