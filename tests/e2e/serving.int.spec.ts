import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { expect, test } from 'vitest'
import {
  getJob,
  readJournal,
  requestId,
  resultOf,
  submit,
  untilJob,
  uploadDigits,
  uploadExample,
} from '../support/digits.ts'
import { jobManifest } from '../support/manifest.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { prepareQueue } from './node-faults.ts'

const READY_MS = 60_000

const scale = (clients: Clients, jobId: string, wanted: number) =>
  clients.jobs.scaleJob({ requestId: requestId(), jobId, wanted, automatic: false })

const numbers = ({ scale: now }: Job) => [now?.wanted, now?.granted, now?.ready, now?.draining]
const readyReplicas = (job: Job) => job.replicas.filter(({ state }) => state === 'Ready')

test('a gang grows in its training without losing a step, and its model is served', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sai-journal-'))
  // Tasks run as a user of their own.
  chmodSync(directory, 0o777)
  const journal = join(directory, 'journal.jsonl')
  const platform = await Platform.start({ nodes: 2, devicesPerNode: 2 })
  try {
    await prepareQueue(platform)
    const team = platform.as('team-a')
    const modelOf = await trained(team, journal)
    await serves(team, modelOf)
  } finally {
    await platform.close()
    rmSync(directory, { recursive: true, force: true })
  }
}, 300_000)

/** Trains digits with two tasks, then four; returns the job. */
async function trained(team: Clients, journal: string): Promise<string> {
  const workspace = await uploadDigits(team)
  const manifest = jobManifest('digits', {
    tasks: 2,
    elastic: { minTasks: 1, maxTasks: 4, cooldown: '1s', notice: '20s' },
    command: ['node', 'dist/main.js', '--step-delay-ms', '10', '--checkpoint-every', '0'],
    workspace,
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    env: { DIGITS_JOURNAL: journal },
  })
  const jobId = await submit(team, manifest)
  const started = (job: Job) => (job.progress?.step ?? 0n) > 20n
  await untilJob(team, jobId, 'trains', started, READY_MS)
  const { scale: asked } = await scale(team, jobId, 4)
  expect(asked).toMatchObject({ wanted: 4, owner: 'user' })
  const grown = (job: Job) => job.generation === 2 && job.state === Job_State.RUNNING
  const four = await untilJob(team, jobId, 'goes on with four tasks', grown, READY_MS)
  expect(four.tasks).toBe(4)
  const done = (job: Job) => job.state === Job_State.SUCCEEDED
  const ended = await untilJob(team, jobId, 'succeeds', done, 120_000)
  const result = resultOf(ended)
  expect(result.accuracy).toBeGreaterThanOrEqual(0.94)
  // Each step once, in order, whoever did it: a planned change loses none.
  const steps = readJournal(journal).filter(({ rank }) => rank === 0)
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1))
  expect(steps.length).toBe(result.steps)
  expect(new Set(steps.map(({ generation }) => generation))).toEqual(new Set([1, 2]))
  return jobId
}

async function serves(team: Clients, model: string): Promise<void> {
  const manifest = jobManifest('digits-server', {
    type: 'Inference',
    command: ['node', 'dist/main.js'],
    workspace: await uploadExample(team, 'digits-server', ['dist', 'package.json']),
    model: { job: model },
    replicas: { min: 0, max: 4 },
    serve: { drain: '1s', readiness: { httpGet: '/healthz', period: '200ms' } },
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    retry: { backoff: '100ms' },
  })
  const jobId = await submit(team, manifest)
  const ready = (count: number) => (job: Job) =>
    job.scale?.ready === count && readyReplicas(job).length === count
  const one = await untilJob(team, jobId, 'is ready', ready(1), READY_MS)
  expect(one.state).toBe(Job_State.RUNNING)
  expect(await predict(one)).toMatchObject({ step: expect.any(Number) })

  await scale(team, jobId, 3)
  const three = await untilJob(team, jobId, 'has three replicas', ready(3), READY_MS)
  expect(numbers(three)).toEqual([3, 3, 3, 0])

  // A replica that dies is placed again alone; the others do not notice.
  const [victim] = three.replicas
  const answer = await fetch(`http://${victim?.address}:${victim?.port}/healthz`)
  expect(answer.status).toBe(200)
  const executions = await team.pool.listExecutions({ jobId, minPosition: '' })
  expect(executions.executions.length).toBe(3)

  await scale(team, jobId, 0)
  const none = (job: Job) => job.replicas.length === 0 && job.scale?.granted === 0
  const zero = await untilJob(team, jobId, 'is scaled to zero', none, READY_MS)
  expect(zero.state).toBe(Job_State.RUNNING)
  expect(numbers(zero)).toEqual([0, 0, 0, 0])

  await scale(team, jobId, 1)
  const again = await untilJob(team, jobId, 'comes back', ready(1), READY_MS)
  expect(again.replicas[0]?.gang).toBe(4)
  await predict(again)
  await team.jobs.cancelJob({ requestId: requestId(), jobId })
  const over = (job: Job) => job.state === Job_State.CANCELLED
  await untilJob(team, jobId, 'is cancelled', over, READY_MS)
}

async function predict(job: Job): Promise<unknown> {
  const [replica] = readyReplicas(job)
  const body = JSON.stringify({ pixels: new Array(64).fill(8) })
  const url = `http://${replica?.address}:${replica?.port}/predict`
  const answer = await fetch(url, { method: 'POST', body })
  expect(answer.status).toBe(200)
  return answer.json()
}

/** A server that ends when it is asked to. */
const MORTAL = `
  require('node:http').createServer((request, response) => {
    if (request.url === '/die') process.exit(0)
    response.end()
  }).listen(Number(process.env.PORT), process.env.SAI_ADDRESS)`

const serverManifest = (name: string, spec: object) =>
  jobManifest(name, {
    type: 'Inference',
    resources: { devices: 1, cpu: '50m', memory: '64Mi' },
    retry: { maxRestarts: 1, backoff: '100ms' },
    ...spec,
  })

test('a replica that ends is placed again alone; a service that never serves fails', async () => {
  const platform = await Platform.start({ nodes: 1, devicesPerNode: 3 })
  try {
    await prepareQueue(platform)
    const team = platform.as('team-a')
    const mortal = await submit(
      team,
      serverManifest('mortal', {
        command: ['node', '-e', MORTAL],
        replicas: { min: 1, max: 2, initial: 2 },
        serve: { readiness: { httpGet: '/', period: '200ms' } },
      }),
    )
    const both = (job: Job) => readyReplicas(job).length === 2
    const before = await untilJob(team, mortal, 'has two replicas', both, READY_MS)
    const [first] = before.replicas
    // Again and again: it has served, and is never given up.
    for (const generation of [2, 3, 4]) {
      await fetch(`http://${first?.address}:${portOf(await getJob(team, mortal))}/die`).catch(
        () => 0,
      )
      const again = (job: Job) => both(job) && job.replicas[0]?.generation === generation
      const now = await untilJob(team, mortal, `generation ${generation}`, again, READY_MS)
      expect(now.replicas.map(({ gang }) => gang)).toEqual([1, 2])
      expect(now.replicas[1]?.generation).toBe(1)
    }
    const mute = await submit(
      team,
      serverManifest('mute', {
        command: ['sleep', '600'],
        serve: { readiness: { tcp: true, period: '200ms', startupDeadline: '2s' } },
      }),
    )
    const failed = (job: Job) => job.state === Job_State.FAILED
    const ended = await untilJob(team, mute, 'fails', failed, READY_MS)
    expect(ended.message).toMatch(/not ready 2000 ms after its start: .*ECONNREFUSED/)
    expect(ended.message).toContain('1 restarts before it was ready')
  } finally {
    await platform.close()
  }
}, 240_000)

const portOf = (job: Job) => job.replicas[0]?.port
