import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { METRICS, type MetricSpec } from '@serverless-ai/telemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { submit, untilJob } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import { Platform } from '../../support/platform.ts'
import { until } from '../../support/until.ts'
import { prepareQueue } from '../node-faults.ts'
import { type Exposed, readExposition, type Sample } from './exposition.ts'

let platform: Platform

const manifest = (name: string, more: { script: string; devices?: number }) =>
  jobManifest(name, {
    tasks: 2,
    command: ['sh', '-c', more.script],
    resources: { devices: more.devices ?? 1, cpu: '50m', memory: '32Mi' },
  })

async function scrape(): Promise<ReadonlyMap<string, Exposed>> {
  const answer = await fetch(`http://127.0.0.1:${platform.port + 1}/metrics`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  return readExposition(await answer.text())
}

const matches = (labels: Record<string, string>) => (sample: Sample) =>
  Object.entries(labels).every(([name, value]) => sample.labels[name] === value)

/** Sum of the samples with these labels. */
async function sumOf(metric: string, labels: Record<string, string> = {}): Promise<number> {
  const metrics = await scrape()
  const base = metric.replace(/_(count|sum|bucket)$/, '')
  const samples = (metrics.get(metric) ?? metrics.get(base))?.samples ?? []
  return samples
    .filter(({ name }) => name === metric)
    .filter(matches(labels))
    .reduce((sum, { value }) => sum + value, 0)
}

beforeAll(async () => {
  platform = await Platform.start({ nodes: 2, devicesPerNode: 1 })
  await prepareQueue(platform)
  const team = platform.as('team-a')
  // The second generation ends well: an incident and a recovery.
  const script = '[ $SAI_GENERATION -gt 1 ] || sleep 600'
  const jobId = await submit(team, manifest('recovers', { script }))
  await untilJob(team, jobId, 'runs', (job) => job.state === Job_State.RUNNING, 20_000)
  const waiting = await submit(team, manifest('waits', { script: 'true' }))
  expect(await sumOf('sai_scheduler_queued_jobs', { reason: 'CAPACITY_WAIT' })).toBe(1)
  expect(await sumOf('sai_pool_devices', { state: 'used', emulated: 'true' })).toBe(2)
  const [task] = platform.tasks(jobId)
  process.kill(task?.pid ?? 0, 'SIGKILL')
  for (const id of [jobId, waiting]) {
    await untilJob(team, id, 'ends', (job) => job.state === Job_State.SUCCEEDED, 30_000)
  }
  await expect(submit(team, manifest('too-much', { script: 'true', devices: 9 }))).rejects.toThrow()
}, 120_000)
afterAll(() => platform.close())

describe('the metrics of a platform that ran jobs', () => {
  it('are all that are registered, of each service that is said to have them', async () => {
    const metrics = await scrape()
    for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
      if (spec.only !== undefined) continue
      const samples = metrics.get(name)?.samples ?? []
      const whose = samples.map(({ labels }) => labels['service'] ?? labels['process'])
      const from = spec.from.includes('process') ? ['all-in-one'] : spec.from
      expect([...new Set(whose)].sort(), name).toEqual([...from].sort())
    }
  })

  it('are nothing but what is registered, with its labels and values', async () => {
    const specs = new Map(Object.entries<MetricSpec>(METRICS))
    for (const { name, help, type, samples } of (await scrape()).values()) {
      const spec = specs.get(name)
      expect({ name, help, type }).toEqual({ name, help: spec?.help, type: spec?.kind })
      for (const { name: line, labels } of samples) {
        const { le, ...own } = labels
        expect(le !== undefined, line).toBe(line.endsWith('_bucket'))
        expect(Object.keys(own), name).toEqual(Object.keys(spec?.labels ?? {}))
        for (const [label, value] of Object.entries(own)) {
          const values = spec?.labels[label]?.values
          if (values !== undefined) expect(values, `${name} ${label}`).toContain(value)
        }
      }
    }
  })

  it('count what happened', async () => {
    const ft = { service: 'fault-tolerance' }
    expect(await sumOf('sai_mediator_jobs', { state: 'Succeeded' })).toBe(2)
    expect(await sumOf('sai_mediator_jobs', { state: 'Running' })).toBe(0)
    expect(await sumOf('sai_scheduler_placements_total')).toBe(3)
    expect(await sumOf('sai_fault_tolerance_incidents_total', ft)).toBe(1)
    const decided = { decision: 'RECOVER', blame: 'Infrastructure' }
    expect(await sumOf('sai_fault_tolerance_decisions_total', decided)).toBe(1)
    await until(
      'the recovery to be counted',
      async () =>
        (await sumOf('sai_fault_tolerance_recovery_seconds_count')) === 1 ? true : undefined,
      { timeoutMs: 10_000 },
    )
    expect(await sumOf('sai_pool_nodes', { state: 'Ready' })).toBe(2)
    const method = 'serverlessai.job.v1.JobService/SubmitJob'
    expect(await sumOf('sai_rpc_server_calls_total', { method, code: 'OK' })).toBe(2)
    expect(await sumOf('sai_rpc_server_seconds_count', { method })).toBe(3)
    expect(await sumOf('sai_runtime_leading')).toBe(SERVICE_NAMES.length)
    for (const service of ['mediator', 'scheduler', 'pool-manager', 'fault-tolerance']) {
      const commits = await sumOf('sai_runtime_commits_total', { service, kind: 'normal' })
      expect(commits, service).toBeGreaterThan(0)
      const inBuckets = await sumOf('sai_runtime_commit_seconds_count', { service })
      expect(inBuckets, service).toBeGreaterThanOrEqual(commits)
      expect(await sumOf('sai_runtime_lag_records', { service }), service).toBe(0)
    }
    expect(await sumOf('sai_runtime_round_seconds_count')).toBeGreaterThanOrEqual(3)
    expect(await sumOf('sai_process_resident_memory_bytes')).toBeGreaterThan(50e6)
    expect(await sumOf('sai_metrics_other_total')).toBe(0)
  })
})
