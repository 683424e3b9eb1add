import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jobManifest } from '../../support/manifest.ts'
import { Platform } from '../../support/platform.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { prepareQueue } from '../node-faults.ts'
import { Victim } from './victim.ts'

const exec = promisify(execFile)
const FOLLOW_JOB = join(ROOT, 'examples/grpc-client/dist/follow-job.js')

const stateName = (state: Job_State): string | undefined =>
  Object.entries(Job_State).find(([, number]) => number === state)?.[0]

let platform: Platform
let tokens: { readonly service: string; readonly tenants: Readonly<Record<string, string>> }
beforeAll(async () => {
  platform = await Platform.start({ nodes: 1, devicesPerNode: 2 })
  await prepareQueue(platform)
  tokens = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
}, 120_000)
afterAll(() => platform.close())

/** Runs a job to its end with the example of a gRPC client. */
async function run(name: string, script: string) {
  const file = join(platform.dataDir, `${name}.yaml`)
  const command = ['sh', '-c', script]
  writeFileSync(file, jobManifest(name, { command, retry: { maxRestarts: 0 } }))
  const env = { ...process.env, SAI_TOKEN: tokens.tenants['team-a'] }
  const args = [FOLLOW_JOB, '--address', platform.address, file]
  return exec(process.execPath, args, { env }).then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: { stdout: string; code: number }) => ({ stdout: error.stdout, code: error.code }),
  )
}

test('the examples follow real jobs: one to its end, and all of them in a table', async () => {
  const good = await run('good', 'exit 0')
  expect(good.stdout).toMatch(/good: \w+\n {2}why: .*[\s\S]*: SUCCEEDED, generation 1\n$/)
  expect(good.code).toBe(0)
  const table = join(platform.dataDir, 'jobs.db')
  const { service: token } = tokens
  const consumer = new Victim({ name: 'grpc', table, feed: platform.address, token })
  consumer.start()
  const bad = await run('bad', 'exit 3')
  expect(bad.stdout).toMatch(/: FAILED, generation 1\n$/)
  expect(bad.code).toBe(1)
  const page = { pageSize: 10, pageToken: '', queue: '', states: [], minPosition: '' }
  const { jobs } = await platform.as('team-a').jobs.listJobs(page)
  const expected = jobs.map((job) => `${job.jobId} ${job.name} ${stateName(job.state)}`).toSorted()
  expect(expected).toHaveLength(2)
  const rows = (): readonly string[] => {
    using db = new DatabaseSync(table, { readOnly: true })
    const found = db.prepare('select job_id, name, state from job order by job_id').all()
    return found.map(
      (row) => `${row['job_id']} ${row['name']} ${String(row['state']).toUpperCase()}`,
    )
  }
  const same = () => (rows().join() === expected.join() ? true : undefined)
  await until(`the table to have ${expected}`, same, { timeoutMs: 60_000 })
  expect(await consumer.stop()).toBe(0)
})
