import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import type { Profile } from '@serverless-ai/contracts/profile/v1/profile'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digitsManifest, readJournal, submit, untilJob, uploadDigits } from '../support/digits.ts'
import { jobManifest } from '../support/manifest.ts'
import { Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

/** What is known has to be right within this, and known within this. */
const RIGHT_PART = 0.05
const READY_MS = 20_000n

let platform: Platform
let directory: string
beforeAll(async () => {
  platform = await Platform.start({ nodes: 1, devicesPerNode: 5 })
  await prepareQueue(platform)
  directory = mkdtempSync(join(tmpdir(), 'sai-profiles-'))
  chmodSync(directory, 0o777)
}, 120_000)
afterAll(async () => {
  await platform.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

/** Works for `BUSY` of each `PERIOD` ms; tells its steps where `TELLS` is set. */
const BURSTS = `
const { appendFileSync } = require('fs')
const { PERIOD, BUSY, TELLS, SAI_REPORT } = process.env
const began = Date.now()
let step = 0
function iterate() {
  const until = Date.now() + Number(BUSY)
  while (Date.now() < until);
  step += 1
  const line = { kind: 'progress', step, atMs: Date.now() }
  if (TELLS) appendFileSync(SAI_REPORT, JSON.stringify(line) + '\\n')
  setTimeout(iterate, Math.max(0, began + step * Number(PERIOD) - Date.now()))
}
iterate()`

const profileOf = async (jobId: string): Promise<Profile | undefined> => {
  const { profiles } = platform.as('team-a')
  const { profile } = await profiles.getProfile({ jobId, minPosition: '' })
  return profile
}

/** The profile as soon as it knows the period. */
const known = (jobId: string): Promise<Profile> => {
  let last = ''
  return until(
    `the period of ${jobId}`,
    async () => {
      const profile = await profileOf(jobId)
      last = JSON.stringify(profile?.iteration?.basis?.unknown)
      return profile?.iteration?.periodUs === undefined ? undefined : profile
    },
    { timeoutMs: 60_000, everyMs: 200 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${last}`)
  })
}

const running = (jobId: string) =>
  untilJob(platform.as('team-a'), jobId, 'runs', ({ state }) => state === Job_State.RUNNING, 60_000)

const cancel = async (jobId: string): Promise<void> => {
  const team = platform.as('team-a')
  await team.jobs.cancelJob({ requestId: '', jobId })
  await untilJob(team, jobId, 'ends', ({ state }) => state === Job_State.CANCELLED, 30_000)
}

/** Jobs of a known period, all at once: two of them tell nothing. */
const BURSTING = [
  { name: 'tells-its-steps', periodMs: 700, busyMs: 100, tells: 'yes' },
  { name: 'tells-nothing', periodMs: 800, busyMs: 240, tells: '' },
  { name: 'tells-nothing-slow', periodMs: 2_000, busyMs: 600, tells: '' },
] as const

const bursts = ({ name, periodMs, busyMs, tells }: (typeof BURSTING)[number]): Promise<string> =>
  submit(
    platform.as('team-a'),
    jobManifest(name, {
      command: ['node', '-e', BURSTS],
      resources: { devices: 1, cpu: '500m', memory: '96Mi' },
      env: { PERIOD: String(periodMs), BUSY: String(busyMs), TELLS: tells },
    }),
  )

async function knowsPeriod(one: (typeof BURSTING)[number], jobId: string): Promise<void> {
  const { name, periodMs, tells } = one
  const { iteration } = await known(jobId)
  const foundMs = Number(iteration?.periodUs) / 1_000
  console.log(`${name}: ${foundMs} ms of ${periodMs}, after ${iteration?.readyAfterMs} ms`)
  expect(Math.abs(foundMs - periodMs) / periodMs, name).toBeLessThan(RIGHT_PART)
  expect(iteration?.readyAfterMs, name).toBeLessThanOrEqual(READY_MS)
  expect(iteration?.basis?.source).toContain(tells === '' ? 'cpu-bursts' : 'reported-steps')
}

it('knows the period of jobs, with and without a word of them', async () => {
  const jobs = await Promise.all(BURSTING.map(async (one) => ({ one, jobId: await bursts(one) })))
  try {
    await Promise.all(jobs.map(({ jobId }) => running(jobId)))
    for (const { one, jobId } of jobs) await knowsPeriod(one, jobId)
  } finally {
    await Promise.all(jobs.map(({ jobId }) => cancel(jobId)))
  }
}, 120_000)

it('knows the iterations of digits, its start, its checkpoints and its use', async () => {
  const team = platform.as('team-a')
  const journal = join(directory, 'journal.jsonl')
  writeFileSync(journal, '')
  chmodSync(journal, 0o666)
  const workspace = await uploadDigits(team)
  const args = ['--step-delay-ms', '20', '--epochs', '200', '--checkpoint-every', '200']
  const env = { DIGITS_JOURNAL: journal }
  const job = { name: 'digits', queue: 'team-a', workspace, tasks: 2, args, env }
  const jobId = await submit(team, digitsManifest(job))
  await running(jobId)
  const first = await known(jobId)
  expect(first.iteration?.readyAfterMs).toBeLessThanOrEqual(READY_MS)
  // Long enough that chance in single steps does not speak.
  const profile = await until(
    'checkpoints and use of digits',
    async () => {
      const now = await profileOf(jobId)
      const enough = (now?.iteration?.basis?.spanMs ?? 0n) >= 12_000n
      const rest = now?.checkpoint?.intervalSteps !== undefined && now.cpuMillis?.p95 !== undefined
      return enough && rest ? now : undefined
    },
    { timeoutMs: 60_000 },
  )
  expectDigits(profile, journal)
  await cancel(jobId)
  // What it was stays known.
  expect((await profileOf(jobId))?.iteration?.periodUs).toBeDefined()
}, 240_000)

/** Time of a step by the journal of rank 0, in the time on which the profile stands. */
function truthMsOf(profile: Profile, journal: string): number {
  const { basis } = profile.iteration ?? {}
  const untilMs = Number(profile.atMs) - Number(basis?.ageMs ?? 0n)
  const fromMs = untilMs - Number(basis?.spanMs ?? 0n)
  const inside = readJournal(journal).filter(
    ({ rank, atMs }) => rank === 0 && atMs >= fromMs && atMs <= untilMs,
  )
  return ((inside.at(-1)?.atMs ?? 0) - (inside[0]?.atMs ?? 0)) / (inside.length - 1)
}

function expectDigits(profile: Profile, journal: string): void {
  const truthMs = truthMsOf(profile, journal)
  const periodMs = Number(profile.iteration?.periodUs) / 1_000
  console.log(`digits: ${periodMs} ms, in its journal ${truthMs.toFixed(2)} ms`)
  expect(Math.abs(periodMs - truthMs) / truthMs).toBeLessThan(RIGHT_PART)
  expect(profile.iteration?.basis?.source).toContain('reported-steps')
  expect(profile.startUp?.placedToReady?.p50Ms).toBeGreaterThan(0n)
  expect(profile.checkpoint).toMatchObject({ intervalSteps: 200n })
  expect(profile.checkpoint?.bytes).toBeGreaterThan(10_000n)
  expect(profile.cpuMillis?.peak).toBeGreaterThan(10)
  expect(profile.memoryMib?.p50).toBeGreaterThan(20)
  // Its devices are emulated: nothing says 0 where nothing measures.
  expect(profile.deviceBusyPct?.basis?.unknown).toBe('NO_READING')
  expect(profile.deviceBusyPct?.p50).toBeUndefined()
}

/** Answers everything. */
const ECHO = `require('http')
  .createServer((_, told) => told.end('echo'))
  .listen(process.env.PORT, process.env.SAI_ADDRESS)`

it('sees the load of a service, and forecasts nothing from less than two minutes', async () => {
  const team = platform.as('team-a')
  const manifest = jobManifest('echo', {
    type: 'Inference',
    command: ['node', '-e', ECHO],
    replicas: { min: 1, max: 1 },
    serve: { drain: '1s', readiness: { httpGet: '/', period: '200ms' } },
  })
  const jobId = await submit(team, manifest)
  await untilJob(team, jobId, 'is ready', ({ scale }) => scale?.ready === 1, 60_000)
  const { tenants } = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  const headers = { authorization: `Bearer ${tenants['team-a']}` }
  const [arrivals, tokens] = await until(
    'the load of the service',
    async () => {
      const answer = await fetch(`${platform.edge}/services/team-a/echo/`, { headers })
      await answer.arrayBuffer()
      const asked = { jobId, horizonMs: 0n, minPosition: '' }
      const { series } = await team.profiles.forecast(asked)
      return (series[0]?.basis?.samples ?? 0n) > 0n ? series : undefined
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
  expect(arrivals).toMatchObject({ basis: { unknown: 'HISTORY_SHORT', source: 'gateway' } })
  expect(arrivals?.points).toEqual([])
  expect(tokens?.basis?.unknown).toBe('NO_READING')
  const { profile } = await team.profiles.getProfile({ jobId, minPosition: '' })
  expect(profile).toMatchObject({ kind: 'Inference' })
  expect(profile?.iteration?.basis?.unknown).toBe('NOT_TRAINING')
  expect(profile?.startUp?.placedToReady?.p50Ms).toBeGreaterThan(0n)
}, 120_000)
