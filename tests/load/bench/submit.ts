import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ClientOf, Transport } from '@serverless-ai/kernel'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { stringify } from 'yaml'
import { requestId } from '../../support/digits.ts'
import { freePorts } from '../../support/ports.ts'
import { cpuSeconds, memoryMib } from '../../support/process-tree.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { type BenchResult, metric, quantile } from '../report.ts'
import { BenchAgent } from './bench-agent.ts'
import { fsyncMs } from './fsync.ts'

const MAIN = join(ROOT, 'tests/dist/load/bench/bench-platform.js')
const NODES = 16
const DEVICES_PER_NODE = 512
const CONNECTIONS = 64
/** Enough for the compiler of the engine to have seen every path often. */
const WARM_UP_JOBS = 1_000
const SINGLE_JOBS = 2_000
const IDLE_JOBS = 200
const IDLE_EVERY_MS = 50
const GANGS = 30
const GANG_TASKS = 100
const GANG_CONNECTIONS = 8
/** Compared with half of the full budgets, which are 1,000 jobs/s, 5,000 tasks/s, 5 ms and 15 ms. */
const BUDGETS = { jobs: 500, gangTasks: 2_500, idleP50Ms: 10, idleP99Ms: 30 }

type Jobs = ClientOf<typeof JobServiceService>

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A description like no other: nothing is gained by remembering texts. */
function manifest(tasks: number, number: number): string {
  return stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: `bench-${tasks}-${number}` },
    spec: {
      queue: 'team-a',
      tasks,
      command: ['true'],
      resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    },
  })
}

/** A control plane in a process of its own, with agents that start nothing. */
class BenchPlatform {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'sai-bench-'))
  readonly #transports: Transport[] = []
  readonly #agents: BenchAgent[] = []
  #child: ChildProcess | undefined
  #address = ''
  #tokens: { admin: string; tenants: Record<string, string>; nodes: Record<string, string> } = {
    admin: '',
    tenants: {},
    nodes: {},
  }
  /** Ids of all jobs that were acknowledged. */
  readonly acknowledged = new Set<string>()

  async start(): Promise<void> {
    const port = await freePorts(2)
    this.#address = `127.0.0.1:${port}`
    const names = Array.from({ length: NODES }, (_, index) => `bench-${index + 1}`)
    const args = ['--data', this.dataDir, '--port', `${port}`, '--nodes', names.join(',')]
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    await until('the control plane', () => (output.includes('ready') ? true : undefined), {
      timeoutMs: 20_000,
    })
    this.#tokens = JSON.parse(readFileSync(join(this.dataDir, 'tokens.json'), 'utf8'))
    for (const nodeId of names) {
      const token = this.#tokens.nodes[nodeId] ?? ''
      const agent = new BenchAgent({ nodeId, token, devices: DEVICES_PER_NODE })
      this.#agents.push(agent)
      // The stream ends with an error when the control plane stops.
      agent.run(this.#transport(), this.#address).catch(() => {})
    }
    await this.#prepare()
  }

  #transport(): Transport {
    const transport = createGrpcTransport({ clock: systemClock })
    this.#transports.push(transport)
    return transport
  }

  async #prepare(): Promise<void> {
    const target = { address: this.#address, token: this.#tokens.admin }
    const transport = this.#transport()
    const pool = transport.client(PoolServiceService, target)
    await until(
      `${NODES} bench agents`,
      async () => {
        const request = { pageSize: 1_000, pageToken: '', minPosition: '' }
        const { nodes } = await pool.listNodes(request)
        const ready = nodes.filter(({ state }) => state === Node_State.READY)
        return ready.length === NODES ? true : undefined
      },
      { timeoutMs: 20_000 },
    )
    const queue = { name: 'team-a', tenant: 'team-a', weight: 1, priority: 0, maximum: undefined }
    const queues = transport.client(QueueServiceService, target)
    await queues.createQueue({ requestId: '', queue })
  }

  /** Process id of the control plane. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** A client over a connection of its own. */
  jobs(): Jobs {
    const token = this.#tokens.tenants['team-a'] ?? ''
    return this.#transport().client(JobServiceService, { address: this.#address, token })
  }

  /** Submits one job; returns the time to its answer, ms. */
  async submit(jobs: Jobs, text: string): Promise<number> {
    const before = performance.now()
    const { job } = await jobs.submitJob({
      requestId: requestId(),
      manifest: text,
      fileName: 'bench.yaml',
      tenant: '',
      validateOnly: false,
    })
    this.acknowledged.add(job?.jobId ?? '')
    return performance.now() - before
  }

  /** Waits until every acknowledged job holds devices; throws when one does not. */
  async allAllocated(): Promise<void> {
    const jobs = this.jobs()
    await until(
      'every acknowledged job to be admitted',
      async () => {
        const all = await everyJob(jobs)
        const placed = all.filter(({ state }) => isAllocated(state))
        const missing = [...this.acknowledged].filter(
          (jobId) => !placed.some((job) => job.jobId === jobId),
        )
        if (missing.length === 0 && all.length === this.acknowledged.size) return true
        throw new Error(`${missing.length} of ${all.length} not admitted, first ${missing[0]}`)
      },
      { timeoutMs: 20_000, everyMs: 500 },
    )
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) agent.stop()
    this.#child?.kill('SIGTERM')
    await until(
      'the end of the control plane',
      () => (this.#child?.exitCode === null && this.#child.signalCode === null ? undefined : true),
      { timeoutMs: 10_000 },
    ).catch(() => this.#child?.kill('SIGKILL'))
    await Promise.all(this.#transports.map((transport) => transport.close()))
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

const isAllocated = (state: Job_State): boolean =>
  state === Job_State.ADMITTED || state === Job_State.STARTING || state === Job_State.RUNNING

async function everyJob(jobs: Jobs): Promise<readonly Job[]> {
  const all: Job[] = []
  let pageToken = ''
  do {
    const request = { pageSize: 1_000, pageToken, minPosition: '', states: [], queue: '' }
    const page = await jobs.listJobs(request)
    all.push(...page.jobs)
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  return all
}

/** Submits `count` jobs over `connections`, one at a time on each; returns jobs per second. */
async function rateOf(
  platform: BenchPlatform,
  init: { count: number; connections: number; tasks: number },
): Promise<number> {
  const clients = Array.from({ length: init.connections }, () => platform.jobs())
  let left = init.count
  const before = performance.now()
  await Promise.all(
    clients.map(async (jobs) => {
      while (left > 0) {
        left -= 1
        await platform.submit(jobs, manifest(init.tasks, left))
      }
    }),
  )
  return init.count / ((performance.now() - before) / 1_000)
}

async function idleMs(platform: BenchPlatform): Promise<readonly number[]> {
  const jobs = platform.jobs()
  const samples: number[] = []
  for (let i = 0; i < IDLE_JOBS; i++) {
    await pause(IDLE_EVERY_MS)
    samples.push(await platform.submit(jobs, manifest(1, i)))
  }
  return samples
}

interface Sample {
  readonly jobsPerSecond: number
  readonly gangTasksPerSecond: number
  readonly idle: readonly number[]
  /** The same disk, a moment later. A submission is three commits one after the other. */
  readonly fsync: readonly number[]
  /** CPU time of the control plane for one single-task job, ms; says more than the rate on a machine that does other things too. */
  readonly cpuPerJobMs: number
  readonly peakMib: number
}

async function sample(): Promise<Sample> {
  const platform = new BenchPlatform()
  try {
    await platform.start()
    await rateOf(platform, { count: WARM_UP_JOBS, connections: CONNECTIONS, tasks: 1 })
    const idle = await idleMs(platform)
    const fsync = fsyncMs(platform.dataDir, IDLE_JOBS)
    const single = { count: SINGLE_JOBS, connections: CONNECTIONS, tasks: 1 }
    const cpuBefore = cpuSeconds(platform.pid)
    const jobsPerSecond = await rateOf(platform, single)
    const cpuPerJobMs = ((cpuSeconds(platform.pid) - cpuBefore) * 1_000) / SINGLE_JOBS
    const gangs = { count: GANGS, connections: GANG_CONNECTIONS, tasks: GANG_TASKS }
    const gangTasksPerSecond = (await rateOf(platform, gangs)) * GANG_TASKS
    await platform.allAllocated()
    const { peak: peakMib } = memoryMib(platform.pid)
    return { jobsPerSecond, gangTasksPerSecond, idle, fsync, cpuPerJobMs, peakMib }
  } finally {
    await platform.stop()
  }
}

/** From the submission of a job to the answer, which comes after its allocation is durable. */
export async function benchSubmit({ reps }: { reps: number; seed: number }): Promise<BenchResult> {
  const samples: Sample[] = []
  for (let rep = 0; rep < reps; rep++) samples.push(await sample())
  const of = (pick: (one: Sample) => number) => samples.map(pick)
  const higher = 'higher' as const
  const lower = 'lower' as const
  const { jobs, gangTasks, idleP50Ms, idleP99Ms } = BUDGETS
  const p = (fraction: number) => of(({ idle }) => quantile(idle, fraction))
  const jobRate = of((one) => one.jobsPerSecond)
  const taskRate = of((one) => one.gangTasksPerSecond)
  return {
    settings: {
      log: 'sqlite, synchronous=FULL',
      agents: `${NODES} bench agents that start nothing, ${DEVICES_PER_NODE} emulated devices each`,
      warmUpJobs: WARM_UP_JOBS,
      singleJobs: SINGLE_JOBS,
      connections: CONNECTIONS,
      idleJobs: IDLE_JOBS,
      idleEveryMs: IDLE_EVERY_MS,
      gangs: GANGS,
      gangTasks: GANG_TASKS,
      gangConnections: GANG_CONNECTIONS,
      load: 'the load generator and the agents run on the same machine',
      budgets: 'half of 1000 jobs/s, 5000 gang tasks/s, 5 ms and 15 ms',
      reps,
    },
    checked: [
      'every acknowledged job is listed, holds its devices (Admitted or later), and there is no other',
    ],
    metrics: [
      metric('single_jobs_per_second', '1/s', jobRate, { better: higher, budget: jobs }),
      metric('gang_of_100_tasks_per_second', '1/s', taskRate, {
        better: higher,
        budget: gangTasks,
      }),
      metric(
        'control_plane_cpu_per_single_job',
        'ms',
        of((one) => one.cpuPerJobMs),
        { better: lower },
      ),
      metric(
        'control_plane_peak_rss',
        'MiB',
        of((one) => one.peakMib),
        { better: lower },
      ),
      metric('idle_submit_p50', 'ms', p(0.5), { better: lower, budget: idleP50Ms }),
      metric('idle_submit_p99', 'ms', p(0.99), { better: lower, budget: idleP99Ms }),
      metric(
        'fsync_p50',
        'ms',
        of(({ fsync }) => quantile(fsync, 0.5)),
        { better: lower },
      ),
      metric(
        'fsync_p99',
        'ms',
        of(({ fsync }) => quantile(fsync, 0.99)),
        { better: lower },
      ),
    ],
  }
}
