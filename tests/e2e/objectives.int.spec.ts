import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import {
  ActionStep,
  ActionStep_Action,
  BurnRule,
  type Counts,
  Indicator,
  Objective,
  Severity,
} from '@serverless-ai/contracts/objective/v1/objective'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { requestId, submit, untilJob } from '../support/digits.ts'
import { jobManifest } from '../support/manifest.ts'
import { Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

let platform: Platform
let token: string
beforeAll(async () => {
  platform = await Platform.start({ nodes: 1, devicesPerNode: 2 })
  await prepareQueue(platform)
  token = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8')).tenants['team-a']
}, 120_000)
afterAll(() => platform.close(), 60_000)

const OBJECTIVE = { targetPpm: 990_000, windowMs: 3_600_000n }

const declare = async (more: Partial<Objective>): Promise<void> => {
  const objective = { ...Objective.fromPartial(OBJECTIVE), ...more }
  const request = { requestId: requestId(), objective, validateOnly: false }
  await platform.as('team-a').objectives.createObjective(request)
}

/** Waits until an objective has counted so many. */
const counted = (objective: string, wanted: Partial<Counts>): Promise<unknown> =>
  until(
    `${objective} to count ${Object.entries(wanted).join(' ')}`,
    async () => {
      const { objectives } = platform.as('team-a')
      const { status } = await objectives.getObjectiveStatus({ objective, minPosition: '' })
      const counts = status?.counts
      const same = Object.entries(wanted).every(
        ([name, value]) => counts?.[name as 'good'] === value,
      )
      return same ? true : undefined
    },
    { timeoutMs: 30_000 },
  )

/** Answers as it is asked to. */
const ECHO = `require('http')
  .createServer((asked, told) => {
    told.statusCode = Number(asked.url.slice(1)) || 200
    told.end('echo')
  })
  .listen(process.env.PORT, process.env.SAI_ADDRESS)`

/** Asks the service, by the edge, for an answer with this status. */
async function ask(status: number, className = 'standard'): Promise<number> {
  const url = `${platform.edge}/services/team-a/echo/${status}`
  const headers = { authorization: `Bearer ${token}`, 'x-sai-class': className }
  const answer = await fetch(url, { headers })
  await answer.arrayBuffer()
  return answer.status
}

async function serves(): Promise<void> {
  const team = platform.as('team-a')
  const manifest = jobManifest('echo', {
    type: 'Inference',
    command: ['node', '-e', ECHO],
    replicas: { min: 1, max: 1 },
    serve: { drain: '1s', readiness: { httpGet: '/200', period: '200ms' } },
  })
  const isReady = ({ scale }: Job) => scale?.ready === 1
  await untilJob(team, await submit(team, manifest), 'is ready', isReady, 60_000)
}

async function runs(name: string, command: readonly string[]): Promise<void> {
  const team = platform.as('team-a')
  const jobId = await submit(team, jobManifest(name, { command }))
  const ended = ({ state }: Job) => state === Job_State.SUCCEEDED || state === Job_State.FAILED
  await untilJob(team, jobId, 'ends', ended, 60_000)
}

it('counts what the edge measures and what jobs come to, each once, through a kill', async () => {
  const availability = { indicator: Indicator.AVAILABILITY, service: 'echo' }
  const exclusions = { shed: false, countCallerErrors: true, maintenance: [] }
  await declare({ name: 'answered', ...availability })
  await declare({ name: 'answered-to-all', ...availability, exclusions })
  await declare({ name: 'fast', indicator: Indicator.E2E, service: 'echo', thresholdUs: 1n })
  const limit = { thresholdUs: 60_000_000n }
  await declare({ name: 'starts', indicator: Indicator.QUEUE_WAIT, ...limit })
  await declare({ name: 'ends', indicator: Indicator.FINISH_BY, ...limit })
  await serves()
  for (const status of [200, 200, 200, 500, 500, 404]) expect(await ask(status)).toBe(status)
  await runs('fine', ['true'])
  await runs('wrong', ['false'])
  const all = async () => {
    // What callers get wrong is theirs, unless the objective says otherwise.
    await counted('answered', { good: 3n, bad: 2n, excluded: 1n })
    await counted('answered-to-all', { good: 3n, bad: 3n, excluded: 0n })
    await counted('fast', { good: 0n, bad: 5n, excluded: 1n })
    await counted('starts', { good: 3n, bad: 0n })
    await counted('ends', { good: 1n, bad: 0n, excluded: 1n })
  }
  await all()
  await platform.kill()
  platform.spawn()
  await platform.ready()
  await all()
  await until('the edge to answer', async () => ((await ask(200)) === 200 ? true : undefined), {
    timeoutMs: 30_000,
  })
  await counted('answered', { good: 4n })
  const { objectives } = platform.as('team-a')
  const { open } = await objectives.getLedger({ objective: 'answered', tenant: '', limit: 0 })
  // At midnight (UTC) there are two days.
  expect(open.reduce((sum, { counts }) => sum + (counts?.good ?? 0n), 0n)).toBe(4n)
  expect(new Set(open.map(({ tenant }) => tenant))).toEqual(new Set(['team-a']))
}, 240_000)

it('sheds a class at the edge while an objective is in danger, and no longer', async () => {
  // Nobody answers within a microsecond: it is in danger with its first requests.
  const about = { indicator: Indicator.E2E, service: 'echo', class: 'interactive' }
  const severity = Severity.PAGE
  const windows = { longWindowMs: 600_000n, shortWindowMs: 600_000n }
  const rule = BurnRule.fromPartial({ severity, budgetPpm: 500_000, ...windows })
  const shed = { severity, action: ActionStep_Action.SHED, class: 'batch' }
  const actions = [ActionStep.fromPartial(shed)]
  await declare({ name: 'endangered', ...about, thresholdUs: 1n, rules: [rule], actions })
  expect(await ask(200, 'batch')).toBe(200)
  for (let n = 0; n < 30; n += 1) expect(await ask(200, 'interactive')).toBe(200)
  const answers = (status: number) =>
    until(
      `the class batch to be answered with ${status}`,
      async () => ((await ask(200, 'batch')) === status ? true : undefined),
      { timeoutMs: 40_000 },
    )
  await answers(503)
  for (const name of ['interactive', 'standard']) expect(await ask(200, name)).toBe(200)
  // The gateway and the monitor begin anew: it still holds.
  await platform.kill()
  platform.spawn()
  await platform.ready()
  await answers(503)
  const { objectives } = platform.as('team-a')
  const { status } = await objectives.getObjectiveStatus({
    objective: 'endangered',
    minPosition: '',
  })
  const objectiveId = status?.objective?.objectiveId ?? ''
  await objectives.deleteObjective({ requestId: requestId(), objectiveId })
  await answers(200)
}, 240_000)
