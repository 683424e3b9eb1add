import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import {
  ActionStep,
  ActionStep_Action,
  BurnRule,
  Indicator,
  Objective,
  Severity,
} from '@serverless-ai/contracts/objective/v1/objective'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withLog } from '../support/closed-log.ts'
import {
  getJob,
  readJournal,
  requestId,
  submit,
  untilJob,
  uploadDigits,
  uploadExample,
} from '../support/digits.ts'
import { foldService } from '../support/fold.ts'
import { jobManifest } from '../support/manifest.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

const READY_MS = 60_000
const NONE = { pixels: new Array(64).fill(8) }

let directory: string
let journal: string
let platform: Platform
let team: Clients

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sai-journal-'))
  // Tasks run as a user of their own.
  chmodSync(directory, 0o777)
  journal = join(directory, 'journal.jsonl')
  const args = ['--scaling.step-ms', '500', '--scaling.give-back-after-ms', '2000']
  platform = await Platform.start({ nodes: 2, devicesPerNode: 2, args })
  await prepareQueue(platform)
  team = platform.as('team-a')
}, 200_000)
afterAll(async () => {
  await platform.close()
  rmSync(directory, { recursive: true, force: true })
})

const training = (name: string, workspace: string, spec: object) =>
  jobManifest(name, {
    workspace,
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    ...spec,
  })

/** A model to serve: a checkpoint of a job that has written one. */
async function model(workspace: string): Promise<string> {
  const command = ['node', 'dist/main.js', '--checkpoint-every', '100', '--epochs', '4']
  const jobId = await submit(team, training('digits', workspace, { tasks: 2, command }))
  const succeeded = ({ state }: Job) => state === Job_State.SUCCEEDED
  await untilJob(team, jobId, 'has a model', succeeded, READY_MS)
  return jobId
}

const serve = async (name: string, of: { model: string; max: number; latencyMs: number }) =>
  submit(
    team,
    jobManifest(name, {
      type: 'Inference',
      command: ['node', 'dist/main.js', '--latency-ms', String(of.latencyMs)],
      workspace: await uploadExample(team, 'digits-server', ['dist', 'package.json']),
      model: { job: of.model },
      replicas: { min: 0, max: of.max, initial: 0 },
      serve: {
        concurrency: 4,
        drain: '200ms',
        readiness: { httpGet: '/healthz', period: '100ms' },
        scaling: { idle: '1s' },
      },
      resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    }),
  )

/** Asks a service that the gateway may not have heard of yet. */
const ask = async (name: string): Promise<number> => {
  const tokens = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  const headers = { authorization: `Bearer ${tokens.tenants['team-a']}` }
  const body = JSON.stringify(NONE)
  const url = `${platform.edge}/services/team-a/${name}/predict`
  const answered = async () => {
    const answer = await fetch(url, { method: 'POST', body, headers })
    return (await answer.text()).includes('SERVICE_NOT_FOUND') ? undefined : answer.status
  }
  return until(`${name} is known`, answered, { timeoutMs: READY_MS })
}

/** An objective of all services that nobody can keep: it asks for scale with its first requests. */
function unkeepable(): Objective {
  const severity = Severity.PAGE
  const windows = { longWindowMs: 600_000n, shortWindowMs: 600_000n }
  const promise = { targetPpm: 990_000, thresholdUs: 1n, windowMs: 3_600_000n }
  return {
    ...Objective.fromPartial({ name: 'all-fast', indicator: Indicator.E2E, ...promise }),
    rules: [BurnRule.fromPartial({ severity, budgetPpm: 500_000, ...windows })],
    actions: [ActionStep.fromPartial({ severity, action: ActionStep_Action.SCALE })],
  }
}

const wanted = ({ scale }: Job) => scale?.wanted ?? 0
const atZero = ({ scale }: Job) =>
  scale?.wanted === 0 && scale.granted === 0 && scale.draining === 0
const tasks = ({ state, scale }: Job, count: number) =>
  state === Job_State.RUNNING && scale?.granted === count && scale.ready === count

describe('the autoscaler on real processes', () => {
  let workspace: string
  let modelOf: string

  it('brings a service up for the first request, and down when it is idle', async () => {
    workspace = await uploadDigits(team)
    modelOf = await model(workspace)
    const jobId = await serve('digits-server', { model: modelOf, max: 1, latencyMs: 0 })
    for (let cycle = 0; cycle < 3; cycle += 1) {
      expect(await Promise.all([ask('digits-server'), ask('digits-server')])).toEqual([200, 200])
      const up = await getJob(team, jobId)
      expect([up.scale?.wanted, up.scale?.owner]).toEqual([1, 'autoscaler'])
      await untilJob(team, jobId, `is at zero again (${cycle})`, atZero, READY_MS)
    }
    const { decisions } = await team.scaling.explain({
      target: 'digits-server',
      untilMs: 0n,
      atPosition: '',
    })
    const applied = decisions.filter(({ outcome }) => outcome === 'APPLIED')
    expect(applied.map(({ wanted: count }) => count)).toEqual([1, 0, 1, 0, 1, 0])
    await team.jobs.cancelJob({ requestId: requestId(), jobId })
  }, 240_000)

  it('gives services more for an objective that names none, while it is in danger', async () => {
    const create = { requestId: requestId(), objective: unkeepable(), validateOnly: false }
    const { objective } = await team.objectives.createObjective(create)
    const objectiveId = objective?.objectiveId ?? ''
    const jobId = await serve('endangered', { model: modelOf, max: 2, latencyMs: 0 })
    const statuses: Promise<number>[] = []
    const calls = setInterval(() => statuses.push(ask('endangered')), 200)
    const about = { target: 'endangered', untilMs: 0n, atPosition: '' }
    const breached = async () => {
      const { story } = await team.scaling.explain(about)
      return story.some(({ code }) => code === 'OBJECTIVE_BREACHED') ? true : undefined
    }
    try {
      await until('the action to hold for the service', breached, { timeoutMs: READY_MS })
      await untilJob(team, jobId, 'has another replica', (job) => wanted(job) === 2, READY_MS)
    } finally {
      clearInterval(calls)
    }
    expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]))
    await team.objectives.deleteObjective({ requestId: requestId(), objectiveId })
    await untilJob(team, jobId, 'is at zero again', atZero, READY_MS)
    await team.jobs.cancelJob({ requestId: requestId(), jobId })
  }, 240_000)

  it('takes devices from training for a flood, and gives them back', async () => {
    const trains = await submit(
      team,
      training('elastic', workspace, {
        tasks: 4,
        elastic: { minTasks: 1, maxTasks: 4, cooldown: '1s', notice: '20s' },
        command: [
          ...['node', 'dist/main.js', '--checkpoint-every', '0'],
          ...['--step-delay-ms', '20', '--epochs', '1000'],
        ],
        env: { DIGITS_JOURNAL: journal },
      }),
    )
    const began = (job: Job) => (job.progress?.step ?? 0n) > 20n && tasks(job, 4)
    await untilJob(team, trains, 'trains with four tasks', began, READY_MS)
    const jobId = await serve('flooded', { model: modelOf, max: 3, latencyMs: 100 })
    // Forty a second, each of which takes 100 ms: more than one replica of four at once bears.
    const statuses: Promise<number>[] = []
    const flood = setInterval(() => statuses.push(ask('flooded')), 25)
    try {
      await untilJob(team, jobId, 'has two replicas and more', (job) => wanted(job) > 1, READY_MS)
      const gave = (job: Job) => job.state === Job_State.RUNNING && (job.scale?.granted ?? 4) < 4
      await untilJob(team, trains, 'has given way', gave, READY_MS)
      const served = ({ scale }: Job) => (scale?.ready ?? 0) > 1
      await untilJob(team, jobId, 'serves with more than one', served, READY_MS)
    } finally {
      clearInterval(flood)
    }
    expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]))
    await untilJob(team, jobId, 'is at zero again', atZero, READY_MS)
    await untilJob(team, trains, 'has four tasks again', (job) => tasks(job, 4), READY_MS)
    const { decisions } = await team.scaling.explain({
      target: 'elastic',
      untilMs: 0n,
      atPosition: '',
    })
    const codes = decisions.flatMap(({ notes }) => notes.map(({ code }) => code))
    expect(codes).toContain('GIVES_WAY')
    expect(codes).toContain('COMES_BACK')
    await team.jobs.cancelJob({ requestId: requestId(), jobId: trains })
    const over = ({ state }: Job) => state === Job_State.CANCELLED
    await untilJob(team, trains, 'is cancelled', over, READY_MS)
    const steps = readJournal(journal).filter(({ rank }) => rank === 0)
    // Each step once, in order, whichever generation did it.
    expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1))
    expect(new Set(steps.map(({ generation }) => generation)).size).toBeGreaterThan(2)
  }, 300_000)

  it('decided what its log says: folded again it comes to the same state', async () => {
    const leaders = await platform.leaders({ withDigest: true })
    const { position, digest } = leaders.find(({ service }) => service === 'autoscaler') ?? {}
    expect(Number(position)).toBeGreaterThan(50)
    await platform.kill()
    const folded = await withLog(platform.dataDir, (eventLog) =>
      foldService('autoscaler', { eventLog, through: Number(position) }),
    )
    expect(folded).toMatchObject({ position: Number(position), digest, diverged: '' })
  }, 60_000)
})
