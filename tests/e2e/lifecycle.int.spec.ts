import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { Incident_Blame } from '@serverless-ai/contracts/recovery/v1/recovery'
import { expect, type TestContext, test } from 'vitest'
import { resultOf, submit, untilJob } from '../support/digits.ts'
import { onKafka } from '../support/environment.ts'
import { jobManifest } from '../support/manifest.ts'
import { type Clients, Platform, type PlatformInit } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

/** Ctrl-C is done within this: one process, or nine that may share two cores with much else. */
const STOP_MS = onKafka() ? 25_000 : 5_000

// Each on platforms of its own, side by side.
const it = test.concurrent

/** A platform until the end of a test. */
async function started(context: TestContext, init: PlatformInit): Promise<Platform> {
  const platform = await Platform.start(init)
  context.onTestFinished(() => platform.close())
  return platform
}

const list = (clients: Clients) =>
  clients.jobs.listJobs({ pageSize: 0, pageToken: '', minPosition: '', states: [], queue: '' })

it('the quickstart trains and serves digits once, later starts go on with it', async (context) => {
  const platform = await started(context, { quickstart: true, leaseMs: 15_000 })
  const team = platform.as('team-a')
  const digits = await until(
    'the digits job',
    async () => (await list(team)).jobs.find((job) => job.name === 'digits'),
    { timeoutMs: 10_000 },
  )
  const others = await until(
    'three small jobs',
    async () => {
      const { jobs } = await list(platform.as('team-b'))
      return jobs.length === 3 ? jobs : undefined
    },
    { timeoutMs: 10_000 },
  )
  const done = (job: { state: Job_State }) => job.state === Job_State.SUCCEEDED
  const trained = await untilJob(team, digits.jobId, 'succeeds', done, 60_000)
  expect(resultOf(trained).accuracy).toBeGreaterThanOrEqual(0.95)
  expect(trained.emulatedDevices).toBe(true)
  for (const job of others)
    await untilJob(platform.as('team-b'), job.jobId, 'succeeds', done, 30_000)
  const said = (line: RegExp) => async () => (line.test(platform.output) ? true : undefined)
  await until('the model to be asked for', said(/ [1-4] of [1-4] replicas ready, [1-9]/), {
    timeoutMs: 40_000,
  })
  if (onKafka()) {
    // The whole flood takes more than a minute: elsewhere its begin has to do.
    await until('the fleet to be gone', said(/ no replica is left/), { timeoutMs: 180_000 })
    expect(platform.output).toMatch(/ [2-4] of [2-4] replicas ready/)
    expect(platform.output).not.toMatch(/answered \(.*\), \d+ failed/)
  }
  expect(platform.output).toContain('EMULATED')
  expect(await platform.interrupt()).toBeLessThan(STOP_MS)
  expect(platform.leftovers()).toEqual([])

  platform.spawn()
  await platform.ready()
  const again = await list(platform.as('team-a'))
  expect(again.jobs.map((job) => job.name)).toEqual(['digits-server', 'digits'])
  expect(again.jobs[1]?.jobId).toBe(digits.jobId)
  expect(resultOf(await untilJob(team, digits.jobId, 'is there', done, 5_000))).toEqual(
    resultOf(trained),
  )
})

it('Ctrl-C stops stubborn tasks within 5 s; their jobs go on without charge', async (context) => {
  const platform = await started(context, {})
  await prepareQueue(platform)
  const team = platform.as('team-a')
  const script = 'trap "" TERM; [ $SAI_GENERATION = 2 ] || while true; do sleep 0.1; done'
  const command = ['sh', '-c', script]
  const job = jobManifest('goes-on', { tasks: 2, command, retry: { maxRestarts: 0 } })
  const jobId = await submit(team, job)
  await untilJob(team, jobId, 'runs', (job) => job.state === Job_State.RUNNING, 20_000)
  expect(await platform.interrupt()).toBeLessThan(STOP_MS)
  expect(platform.leftovers()).toEqual([])

  platform.spawn()
  await platform.ready()
  const ended = await untilJob(
    team,
    jobId,
    'succeeds',
    (job) => job.state === Job_State.SUCCEEDED,
    30_000,
  )
  expect(ended.generation).toBe(2)
  const { incidents } = await team.recovery.listIncidents({ jobId, pageSize: 9, pageToken: '' })
  expect(incidents).toMatchObject([{ blame: Incident_Blame.PLANNED, charged: false }])
})
