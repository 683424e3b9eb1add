import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { METRICS } from '@serverless-ai/telemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { submit, untilJob } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import { Platform } from '../../support/platform.ts'
import { freePorts } from '../../support/ports.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { prepareQueue } from '../node-faults.ts'

const CONFIG = join(ROOT, 'infra/prometheus')
const DASHBOARDS = join(ROOT, 'infra/grafana/dashboards')

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: { readonly result: readonly { readonly metric: Record<string, string> }[] }
}

let platform: Platform
let url = ''
const cleanups: (() => Promise<void> | void)[] = []

async function ask(path: string, fields: Record<string, string> = {}): Promise<Answer> {
  const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(fields)}`)
  return (await answer.json()) as Answer
}

/** A Prometheus of this machine with the repository's configuration, on one target. */
async function startPrometheus(target: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-prometheus-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  cpSync(CONFIG, directory, { recursive: true })
  rmSync(join(directory, 'targets'), { recursive: true })
  mkdirSync(join(directory, 'targets'))
  writeFileSync(join(directory, 'targets/one.yml'), stringify([{ targets: [target] }]))
  const config = parse(readFileSync(join(directory, 'prometheus.yml'), 'utf8'))
  const global = { scrape_interval: '1s', evaluation_interval: '1s' }
  writeFileSync(join(directory, 'prometheus.yml'), stringify({ ...config, global }))
  const port = await freePorts(1)
  url = `http://127.0.0.1:${port}`
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => {
    output = `${output}${chunk}`.slice(-4_000)
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', (error) => {
      output = `${String(error)}: install Prometheus, for example by apt-get install prometheus`
      resolve()
    })
  })
  cleanups.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const isReady = async () => ((await fetch(`${url}/-/ready`)).ok ? true : undefined)
  await until('Prometheus', isReady, { timeoutMs: 20_000 }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${output}`)
  })
}

beforeAll(async () => {
  platform = await Platform.start({ nodes: 1, devicesPerNode: 1 })
  cleanups.push(() => platform.close())
  await prepareQueue(platform)
  await startPrometheus(`127.0.0.1:${platform.port + 1}`)
  const team = platform.as('team-a')
  const jobId = await submit(team, jobManifest('one'))
  await untilJob(team, jobId, 'ends', (job) => job.state === Job_State.SUCCEEDED, 30_000)
  // Rates need two scrapes on either side of something.
  const query = 'sum(increase(sai_runtime_commits_total[1m])) > 0'
  const scraped = async () => (await ask('query', { query })).data?.result[0]
  await until('scrapes', scraped, { timeoutMs: 30_000 })
}, 120_000)
afterAll(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

const groups = ['jobs', 'kafka', 'pool', 'process', 'rpc', 'runtime']
const queries = groups.flatMap((group) => {
  const { panels } = JSON.parse(readFileSync(join(DASHBOARDS, `${group}.json`), 'utf8'))
  return panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }): [string, string] => [group, expr]),
  )
})

describe('a real Prometheus', () => {
  it('takes the configuration and the alert rules, which ring when they should', () => {
    const promtool = (...args: string[]) =>
      execFileSync('promtool', args, { cwd: CONFIG, encoding: 'utf8' })
    const rules = readFileSync(join(CONFIG, 'rules.yml'), 'utf8').match(/- alert:/g)?.length
    expect(promtool('check', 'config', 'prometheus.yml')).toContain(`${rules} rules found`)
    expect(promtool('test', 'rules', 'rules.test.yml')).toContain('SUCCESS')
  })

  it.each(queries)('answers a query of the dashboard %s: %s', async (group, expr) => {
    const query = expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(service|process)/g, '.*')
    const { status, error, data } = await ask('query', { query })
    expect({ status, error }).toEqual({ status: 'success', error: undefined })
    // Without a log on Kafka there is nothing of it, but the question is right.
    if (group !== 'kafka') expect(data?.result.length).toBeGreaterThan(0)
  })

  it('knows kind and meaning of every metric that it scraped', async () => {
    const answer = await fetch(`${url}/api/v1/metadata`)
    const { data }: { data: Record<string, { type: string; help: string }[]> } = JSON.parse(
      await answer.text(),
    )
    for (const [name, [found]] of Object.entries(data)) {
      const spec = new Map(Object.entries(METRICS)).get(name)
      expect(found, name).toMatchObject({ type: spec?.kind, help: spec?.help })
    }
    expect(Object.keys(data).length).toBeGreaterThan(30)
  })

  it('has no alert of a platform that is well', async () => {
    const { data } = await ask('query', { query: 'ALERTS' })
    expect(data?.result.map(({ metric }) => metric['alertname'])).toEqual([])
  })
})
