import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { uuidV7 } from '@serverless-ai/kernel'
import { jobManifest } from './manifest.ts'
import type { Clients } from './platform.ts'
import { ROOT } from './root.ts'
import { until } from './until.ts'

/** A UUIDv7 of now. */
export const requestId = (): string => uuidV7(Date.now(), randomBytes(10))

/** Uploads the built digits example as a workspace; returns its name. */
export const uploadDigits = (clients: Clients): Promise<string> =>
  uploadExample(clients, 'digits', ['dist', 'data', 'package.json'])

/** Uploads parts of a built example as a workspace; returns its name. */
export async function uploadExample(
  clients: Clients,
  name: string,
  parts: readonly string[],
): Promise<string> {
  const directory = join(ROOT, 'examples/workloads', name)
  const archive = execFileSync('tar', ['-C', directory, '-czf', '-', ...parts], {
    maxBuffer: 64 * 1024 * 1024,
  })
  const digest = `sha256:${createHash('sha256').update(archive).digest('hex')}`
  async function* pieces() {
    for (let at = 0; at < archive.length; at += 512 * 1024) {
      yield { data: archive.subarray(at, at + 512 * 1024), digest: at === 0 ? digest : '' }
    }
  }
  const { workspace } = await clients.workspaces.uploadWorkspace(pieces())
  return workspace
}

export interface DigitsJob {
  readonly name: string
  readonly queue: string
  readonly workspace: string
  readonly tasks: number
  readonly exclusive?: boolean
  /** Arguments of the program. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly maxRestarts?: number
}

/** A job description that trains digits with one emulated device per task. */
export function digitsManifest(job: DigitsJob): string {
  return jobManifest(job.name, {
    queue: job.queue,
    tasks: job.tasks,
    command: ['node', 'dist/main.js', ...(job.args ?? [])],
    workspace: job.workspace,
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    exclusive: job.exclusive ?? false,
    retry: { maxRestarts: job.maxRestarts ?? 3 },
    env: job.env ?? {},
  })
}

/** Submits; returns the job id. */
export async function submit(
  clients: Clients,
  manifest: string,
  id = requestId(),
): Promise<string> {
  const { job } = await clients.jobs.submitJob({
    requestId: id,
    manifest,
    fileName: 'test.yaml',
    tenant: '',
    validateOnly: false,
  })
  if (job === undefined) throw new Error('no job in the answer')
  return job.jobId
}

/** The job now. */
export async function getJob(clients: Clients, jobId: string): Promise<Job> {
  const { job } = await clients.jobs.getJob({ jobId, minPosition: '' })
  if (job === undefined) throw new Error('no job in the answer')
  return job
}

/** Waits until `test` holds for the job. */
export function untilJob(
  clients: Clients,
  jobId: string,
  what: string,
  test: (job: Job) => boolean,
  timeoutMs: number,
): Promise<Job> {
  let last = ''
  return until(
    `job ${jobId}: ${what}`,
    async () => {
      const job = await getJob(clients, jobId)
      last = `state ${job.state}, generation ${job.generation}, ${job.message}`
      return test(job) ? job : undefined
    },
    { timeoutMs, everyMs: 100 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${last}`)
  })
}

/** A line of the workload's journal. */
export interface JournalLine {
  readonly step: number
  readonly rank: number
  readonly generation: number
  readonly atMs: number
}

/** Journal lines, in file order. */
export function readJournal(path: string): readonly JournalLine[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

/** What rank 0 reported at the end. */
export function resultOf(job: Job): {
  accuracy: number
  steps: number
  parametersDigest: string
} {
  const { metrics, parametersDigest } = JSON.parse(job.resultJson)
  return { accuracy: metrics.accuracy, steps: metrics.steps, parametersDigest }
}
