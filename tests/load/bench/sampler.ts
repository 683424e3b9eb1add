import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { prepareQueue } from '../../e2e/node-faults.ts'
import { submit } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import { Platform } from '../../support/platform.ts'
import { cpuSeconds, memoryMib } from '../../support/process-tree.ts'
import { until } from '../../support/until.ts'
import { type BenchResult, metric } from '../report.ts'

/** A task is traced for its first 45 s, and for 20 s of each two minutes later. */
const WATCH_MS = 60_000

const TASK_CORES = 0.9
/** Iterations of 500 ms that compute on one core for nine tenths of it, and report their steps. */
const WORKLOAD = `
  const report = require('node:fs').appendFileSync
  let step = 0
  setInterval(() => {
    const end = performance.now() + ${500 * TASK_CORES}
    while (performance.now() < end);
    step += 1
    report(process.env.SAI_REPORT, JSON.stringify({ kind: 'progress', step }) + '\\n')
  }, 500)`

/** CPU time of a minute, s. */
interface Minute {
  readonly agent: number
  readonly supervisor: number
  readonly task: number
}

async function minute(platform: Platform, task: number): Promise<Minute> {
  const { agent, supervisor } = platform.node('n1')
  const now = (): Minute => ({
    agent: cpuSeconds(agent),
    supervisor: cpuSeconds(supervisor),
    task: cpuSeconds(task),
  })
  const before = now()
  await sleep(WATCH_MS)
  const after = now()
  return {
    agent: after.agent - before.agent,
    supervisor: after.supervisor - before.supervisor,
    task: after.task - before.task,
  }
}

/** Gives the agent another address for measurements: it starts anew, the task goes on. */
async function sendTo(platform: Platform, telemetryAddress: string): Promise<void> {
  const file = join(platform.dataDir, 'nodes/n1/config.json')
  const { agent, supervisor } = platform.node('n1')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, telemetryAddress }))
  process.kill(supervisor, 'SIGHUP')
  const another = () => {
    const now = platform.node('n1').agent
    return now !== 0 && now !== agent ? true : undefined
  }
  await until('another agent', another, { timeoutMs: 30_000 })
  // Its start is not what is measured.
  await sleep(3_000)
}

interface Sample {
  readonly traced: Minute
  readonly steady: Minute
  readonly off: Minute
  readonly onMib: number
  readonly offMib: number
}

async function sample(): Promise<Sample> {
  const platform = await Platform.start({ leaseMs: 15_000, nodes: 1, devicesPerNode: 1 })
  try {
    await prepareQueue(platform)
    const command = [process.execPath, '-e', WORKLOAD]
    const jobId = await submit(platform.as('team-a'), jobManifest('busy', { command }))
    const running = () => platform.tasks(jobId)[0]?.pid
    const task = await until('the task', running, { timeoutMs: 30_000 })
    const mib = () => memoryMib(platform.node('n1').agent).now
    await sendTo(platform, '')
    const off = await minute(platform, task)
    const offMib = mib()
    await sendTo(platform, `127.0.0.1:${platform.port}`)
    const traced = await minute(platform, task)
    const steady = await minute(platform, task)
    return { traced, steady, off, onMib: mib(), offMib }
  } finally {
    await platform.close()
  }
}

const pctOf = ({ agent, task }: Minute): number => (agent / task) * 100
const nodePctOf = ({ agent, supervisor, task }: Minute): number =>
  ((agent + supervisor) / task) * 100

/** What measuring costs the node: CPU time of its agent beside that of one busy task. */
export async function benchSampler({ reps }: { reps: number }): Promise<BenchResult> {
  const samples: Sample[] = []
  for (let rep = 0; rep < reps; rep++) samples.push(await sample())
  const lower = { better: 'lower' } as const
  const of = (name: string, unit: string, pick: (one: Sample) => number, budget?: number) =>
    metric(name, unit, samples.map(pick), budget === undefined ? lower : { ...lower, budget })
  const pct = '% of the CPU time of the task'
  const least = Math.min(...samples.flatMap(({ traced, steady }) => [traced.task, steady.task]))
  const wanted = (TASK_CORES * WATCH_MS) / 1_000
  return {
    settings: { nodes: 1, periodMs: 1_000, taskCores: TASK_CORES, watchedMs: WATCH_MS, reps },
    checked: ['the task ran through all minutes; agent and supervisor were the same in each'],
    limits: [
      `the task had ${least.toFixed(1)} s or more of ${wanted} s of CPU time in each minute`,
    ],
    metrics: [
      of('agent_measuring_first_minute', pct, ({ traced }) => pctOf(traced), 1),
      of('agent_measuring_later', pct, ({ steady }) => pctOf(steady), 1),
      of('agent_without', pct, ({ off }) => pctOf(off)),
      of('agent_and_supervisor_first_minute', pct, ({ traced }) => nodePctOf(traced)),
      of('agent_and_supervisor_later', pct, ({ steady }) => nodePctOf(steady)),
      of('agent_and_supervisor_without', pct, ({ off }) => nodePctOf(off)),
      of('agent_cpu_first_minute', 's', ({ traced }) => traced.agent),
      of('agent_cpu_later', 's', ({ steady }) => steady.agent),
      of('agent_cpu_without', 's', ({ off }) => off.agent),
      of('task_cpu_measured', 's', ({ traced }) => traced.task),
      of('task_cpu_without', 's', ({ off }) => off.task),
      of('agent_rss', 'MiB', ({ onMib }) => onMib),
      of('agent_rss_without', 'MiB', ({ offMib }) => offMib),
    ],
  }
}
