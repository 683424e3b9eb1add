import { setTimeout as pause } from 'node:timers/promises'
import { brokerText, type KafkaBroker } from '../../support/kafka-broker.ts'
import { memoryMib } from '../../support/process-tree.ts'
import { type BenchResult, type Metric, metric, middleOf, quantile } from '../report.ts'
import { askCommitTotals, commitText } from './commit-times.ts'
import { type CpuUse, cpuPerThing, machineText, mostPerSecond, watchCpu } from './cpu.ts'
import { DEVICES_PER_NODE, NODES } from './fleet.ts'
import { fsyncMs } from './fsync.ts'
import { embeddedGround, type Ground, kafkaGround, TENANT } from './grounds.ts'
import { benchManifest } from './manifest.ts'
import { BenchPlatform } from './submit-platform.ts'

const CONNECTIONS = 64
const SINGLE_JOBS = 2_000
const IDLE_JOBS = 200
const IDLE_EVERY_MS = 50
const GANGS = 30
const GANG_TASKS = 100
const GANG_CONNECTIONS = 8

interface Budgets {
  readonly jobs: number
  readonly gangTasks: number
  readonly idleP50Ms: number
  readonly idleP99Ms: number
}

/** What differs between the logs. */
interface Setting {
  readonly open: () => Promise<Ground>
  /** For people. */
  readonly log: string
  /** Enough for the compiler of the engine to have seen every path often. */
  readonly warmUpJobs: number
  readonly devicesPerNode: number
  readonly budgets: Budgets
  /** For people. */
  readonly budgetsAre: string
}

const EMBEDDED: Setting = {
  open: embeddedGround,
  log: 'sqlite, synchronous=FULL',
  warmUpJobs: 1_000,
  devicesPerNode: DEVICES_PER_NODE,
  budgets: { jobs: 500, gangTasks: 2_500, idleP50Ms: 10, idleP99Ms: 30 },
  budgetsAre: 'half of 1000 jobs/s, 5000 gang tasks/s, 5 ms and 15 ms',
}

const onKafka = (broker: KafkaBroker): Setting => ({
  open: () => kafkaGround(broker.brokers),
  log: `kafka (${brokerText(broker)}), one copy, acks=all; one process of each service`,
  // Each of four engines sees a part of the work, and more than one log.
  warmUpJobs: 4_000,
  devicesPerNode: 2 * DEVICES_PER_NODE,
  budgets: { jobs: 600, gangTasks: 3_000, idleP50Ms: 10, idleP99Ms: 40 },
  budgetsAre: '600 jobs/s, 3000 gang tasks/s, 10 ms and 40 ms',
})

const manifest = (tasks: number, number: number): string =>
  benchManifest({ queue: TENANT, tasks, number })

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

/** What a stretch of work took: CPU time of each part, and what the services tell of commits. */
interface Spent {
  readonly cpu: CpuUse
  readonly commits: string
}

async function spending<T>(
  { ground }: BenchPlatform,
  work: () => Promise<T>,
): Promise<readonly [T, Spent]> {
  const before = await askCommitTotals(ground.health)
  const use = watchCpu(() => ground.pids)
  const value = await work()
  const cpu = use()
  return [value, { cpu, commits: commitText(before, await askCommitTotals(ground.health)) }]
}

interface Sample {
  readonly jobsPerSecond: number
  readonly single: Spent
  readonly gangTasksPerSecond: number
  readonly gangs: Spent
  readonly idle: readonly number[]
  readonly idleSpent: Spent
  /** The same disk, a moment later. A submission is three commits one after the other. */
  readonly fsync: readonly number[]
  /**
   * CPU time of the control plane for one single-task job, ms; says more than the rate on a machine
   * that does other things too.
   */
  readonly cpuPerJobMs: number
  readonly peakMib: number
}

/** CPU time of the processes of the control plane, s; not that of the brokers. */
const controlPlaneSeconds = ({ cpu }: Spent): number =>
  [...cpu.seconds]
    .filter(([name]) => name !== 'broker' && name !== 'load')
    .reduce((sum, [, seconds]) => sum + seconds, 0)

const peakMib = ({ pids }: Ground): number =>
  [...pids]
    .filter(([name]) => name !== 'broker')
    .reduce((sum, [, pid]) => sum + memoryMib(pid).peak, 0)

async function sample({ open, warmUpJobs, devicesPerNode }: Setting): Promise<Sample> {
  const platform = await BenchPlatform.start(open, devicesPerNode)
  try {
    await rateOf(platform, { count: warmUpJobs, connections: CONNECTIONS, tasks: 1 })
    const [idle, idleSpent] = await spending(platform, () => idleMs(platform))
    const fsync = fsyncMs(platform.ground.dataDir, IDLE_JOBS)
    const [jobsPerSecond, single] = await spending(platform, () =>
      rateOf(platform, { count: SINGLE_JOBS, connections: CONNECTIONS, tasks: 1 }),
    )
    const [gangsPerSecond, gangs] = await spending(platform, () =>
      rateOf(platform, { count: GANGS, connections: GANG_CONNECTIONS, tasks: GANG_TASKS }),
    )
    await platform.allAllocated()
    return {
      ...{ jobsPerSecond, single, gangs, idle, idleSpent, fsync },
      gangTasksPerSecond: gangsPerSecond * GANG_TASKS,
      cpuPerJobMs: (controlPlaneSeconds(single) * 1_000) / SINGLE_JOBS,
      peakMib: peakMib(platform.ground),
    }
  } finally {
    await platform.stop()
  }
}

const most = (cpu: CpuUse, count: number): string => mostPerSecond(cpu, count).toPrecision(3)

/** Where the time of a run went, in sentences. */
function limitsOf({ single, gangs, idleSpent }: Sample): readonly string[] {
  const line = (what: string, { cpu, commits }: Spent, count: number): readonly string[] => {
    const each = `CPU ms of each: ${cpuPerThing(cpu, count)}, enough for ${most(cpu, count)}/s`
    return [`${what}: ${each}; ${machineText(cpu)}`, `${what}: ${commits}`]
  }
  return [
    ...line('single-task jobs', single, SINGLE_JOBS),
    ...line('gangs', gangs, GANGS),
    ...line('idle', idleSpent, IDLE_JOBS),
  ]
}

function metricsOf(samples: readonly Sample[], budgets: Budgets): readonly Metric[] {
  const of = (pick: (one: Sample) => number) => samples.map(pick)
  const higher = 'higher' as const
  const lower = 'lower' as const
  const { jobs, gangTasks, idleP50Ms, idleP99Ms } = budgets
  const p = (fraction: number) => of(({ idle }) => quantile(idle, fraction))
  const sync = (fraction: number) => of(({ fsync }) => quantile(fsync, fraction))
  const jobRate = of((one) => one.jobsPerSecond)
  const taskRate = of((one) => one.gangTasksPerSecond)
  const cpu = of((one) => one.cpuPerJobMs)
  const peak = of((one) => one.peakMib)
  return [
    metric('single_jobs_per_second', '1/s', jobRate, { better: higher, budget: jobs }),
    metric('gang_of_100_tasks_per_second', '1/s', taskRate, { better: higher, budget: gangTasks }),
    metric('control_plane_cpu_per_single_job', 'ms', cpu, { better: lower }),
    metric('control_plane_peak_rss', 'MiB', peak, { better: lower }),
    metric('idle_submit_p50', 'ms', p(0.5), { better: lower, budget: idleP50Ms }),
    metric('idle_submit_p99', 'ms', p(0.99), { better: lower, budget: idleP99Ms }),
    metric('fsync_p50', 'ms', sync(0.5), { better: lower }),
    metric('fsync_p99', 'ms', sync(0.99), { better: lower }),
  ]
}

async function benchOn(setting: Setting, reps: number): Promise<BenchResult> {
  const { log, warmUpJobs, devicesPerNode, budgets, budgetsAre } = setting
  const samples: Sample[] = []
  for (let rep = 0; rep < reps; rep++) samples.push(await sample(setting))
  return {
    settings: {
      log,
      agents: `${NODES} bench agents that start nothing, ${devicesPerNode} emulated devices each`,
      warmUpJobs,
      singleJobs: SINGLE_JOBS,
      connections: CONNECTIONS,
      idleJobs: IDLE_JOBS,
      idleEveryMs: IDLE_EVERY_MS,
      gangs: GANGS,
      gangTasks: GANG_TASKS,
      gangConnections: GANG_CONNECTIONS,
      load: 'the load generator and the agents run on the same machine',
      budgets: budgetsAre,
      reps,
    },
    checked: [
      'every acknowledged job is listed and holds its devices (Admitted or later)',
      'no other job is listed',
    ],
    limits: limitsOf(middleOf(samples, ({ jobsPerSecond }) => jobsPerSecond)),
    metrics: metricsOf(samples, budgets),
  }
}

/** From the submission of a job to the answer, which comes after its allocation is durable. */
export const benchSubmit = ({ reps }: { reps: number }): Promise<BenchResult> =>
  benchOn(EMBEDDED, reps)

/** The same with each service a process of its own, on a broker with one copy. */
export const benchKafkaSubmit = (
  { reps }: { reps: number },
  broker: KafkaBroker,
): Promise<BenchResult> => benchOn(onKafka(broker), reps)
