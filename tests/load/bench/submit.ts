import { stringify } from 'yaml'
import { cpuSeconds, memoryMib } from '../../support/process-tree.ts'
import { type BenchResult, metric, quantile } from '../report.ts'
import { fsyncMs } from './fsync.ts'
import { BenchPlatform, DEVICES_PER_NODE, NODES } from './submit-platform.ts'

const CONNECTIONS = 64
/** Enough for the compiler of the engine to have seen every path often. */
const WARM_UP_JOBS = 1_000
const SINGLE_JOBS = 2_000
const IDLE_JOBS = 200
const IDLE_EVERY_MS = 50
const GANGS = 30
const GANG_TASKS = 100
const GANG_CONNECTIONS = 8
/**
 * Compared with half of the full budgets, which are 1,000 jobs/s, 5,000 tasks/s, 5 ms and 15 ms.
 */
const BUDGETS = { jobs: 500, gangTasks: 2_500, idleP50Ms: 10, idleP99Ms: 30 }

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
  /**
   * CPU time of the control plane for one single-task job, ms; says more than the rate on a machine
   * that does other things too.
   */
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
      'every acknowledged job is listed and holds its devices (Admitted or later)',
      'no other job is listed',
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
