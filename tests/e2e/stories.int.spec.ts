import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { submit, untilJob } from '../support/digits.ts'
import { jobManifest } from '../support/manifest.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { ROOT } from '../support/root.ts'
import { prepareQueue } from './node-faults.ts'

const exec = promisify(execFile)
const SAI = join(ROOT, 'apps/cli/dist/main.js')
const REFLECT = join(ROOT, 'examples/grpc-client/dist/reflect-job.js')

let platform: Platform
let team: Clients
let token = ''

const shell = (name: string, init: { tasks: number; script: string }) =>
  jobManifest(name, { tasks: init.tasks, command: ['sh', '-c', init.script] })

const sai = (...args: string[]) =>
  exec(process.execPath, [SAI, ...args, '--address', platform.address, '--token', token])

beforeAll(async () => {
  platform = await Platform.start({ nodes: 3, devicesPerNode: 2 })
  await prepareQueue(platform)
  team = platform.as('team-a')
  token = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8')).tenants['team-a']
}, 200_000)
afterAll(() => platform.close())

describe('two gangs of four on six devices', () => {
  it('one runs, the other says why it waits, with numbers; then it runs', async () => {
    const wait = join(platform.dataDir, 'go')
    const script = `until [ -e ${wait} ]; do sleep 0.05; done`
    const first = await submit(team, shell('first', { tasks: 4, script }))
    await untilJob(team, first, 'runs', (job) => job.state === Job_State.RUNNING, 20_000)
    const second = await submit(team, shell('second', { tasks: 4, script: 'true' }))
    const has = (job: Job) => job.reason !== undefined
    const waiting = await untilJob(team, second, 'has a reason to wait', has, 5_000)
    expect(waiting.state).toBe(Job_State.QUEUED)
    expect([Reason_Code.CAPACITY_WAIT, Reason_Code.GANG_INCOMPLETE]).toContain(waiting.reason?.code)
    const devices = waiting.reason?.shortfalls.find((one) => one.dimension === 'devices')
    expect(devices).toMatchObject({ want: 4n, free: 2n, total: 6n })
    expect(platform.tasks(second)).toEqual([])

    const { stdout } = await sai('job', 'why', second)
    expect(stdout).toMatch(/queued/i)
    expect(stdout).toContain('4')
    expect(stdout).toContain('2')
    const queuedAt = /as of (\S+)/.exec(stdout)?.[1] ?? ''

    writeFileSync(wait, '')
    const ended = (id: string) =>
      untilJob(team, id, 'ends', (job) => job.state === Job_State.SUCCEEDED, 30_000)
    await ended(first)
    await ended(second)
    const finished = await sai('job', 'why', second)
    expect(finished.stdout).toMatch(/is Succeeded/)
    expect(finished.stdout).toMatch(/placed on/)
    const then = await sai('job', 'why', second, '--at', queuedAt)
    expect(then.stdout).toMatch(/was Queued|is Queued/)
    expect(then.stdout).not.toMatch(/placed on/)
  })
})

describe('why', () => {
  it('tells of a recovery and of a user error', async () => {
    const script = '[ $SAI_GENERATION -gt 1 ] || sleep 600'
    const jobId = await submit(team, shell('recovers', { tasks: 2, script }))
    await untilJob(team, jobId, 'runs', (job) => job.state === Job_State.RUNNING, 20_000)
    const [task] = platform.tasks(jobId)
    process.kill(task?.pid ?? 0, 'SIGKILL')
    const job = await untilJob(
      team,
      jobId,
      'ends',
      (now) => now.state === Job_State.SUCCEEDED,
      30_000,
    )
    expect(job.generation).toBe(2)
    const { stdout } = await sai('job', 'why', jobId)
    expect(stdout).toContain('SIGKILL')
    expect(stdout).toMatch(/generation 2 placed/)

    const wrong = await submit(
      team,
      shell('wrong', { tasks: 2, script: 'echo no such luck; exit 3' }),
    )
    await untilJob(team, wrong, 'fails', (now) => now.state === Job_State.FAILED, 30_000)
    const why = await sai('job', 'why', wrong)
    expect(why.stdout).toMatch(/exit code 3|code 3/)
    const logs = await sai('job', 'logs', wrong)
    expect(logs.stdout).toContain('no such luck')
  })
})

describe('a client that knows nothing but reflection', () => {
  it('submits, watches and cancels a job', async () => {
    const file = join(platform.dataDir, 'reflect.yaml')
    writeFileSync(file, shell('reflected', { tasks: 1, script: 'sleep 600' }))
    const address = await platform.leaderAddress('mediator')
    const call = (...args: string[]) =>
      exec(process.execPath, [REFLECT, '--address', address, '--token', token, ...args])
    const submitted = await call('submit', file)
    const jobId = /"jobId":\s*"(j-[^"]+)"/.exec(submitted.stdout)?.[1] ?? ''
    await untilJob(team, jobId, 'runs', (job) => job.state === Job_State.RUNNING, 20_000)
    const watching = call('watch', jobId)
    await call('cancel', jobId)
    const watched = await watching
    expect(watched.stdout).toContain('CANCELLED')
  })
})
