import { runSimulation, scenarioOf } from '@serverless-ai/sim'
import { type BenchResult, metric } from '../report.ts'

/** Seed of the run that warms up; the measured ones are others, whatever seed is asked for. */
const WARM_UP_SEED = 1_000_000

/** One run, measured. */
interface Rep {
  readonly simSeconds: number
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly commits: number
  readonly alarms: readonly string[]
}

async function simulate(seed: number): Promise<Rep> {
  const scenario = scenarioOf('reference')
  const startedCpu = process.cpuUsage()
  const startedMs = performance.now()
  const { simMs, commits, alarms } = await runSimulation({ scenario, seed })
  const wallSeconds = (performance.now() - startedMs) / 1_000
  const { user, system } = process.cpuUsage(startedCpu)
  return {
    simSeconds: simMs / 1_000,
    wallSeconds,
    cpuSeconds: (user + system) / 1e6,
    commits,
    alarms: alarms.map(({ checker, message }) => `seed ${seed}: ${checker}: ${message}`),
  }
}

/**
 * The reference scenario of the simulator on one thread, all checkers on, readable trace off: how
 * much faster than real time. CPU time is that of the whole process, so what the garbage collector
 * does beside the thread counts too.
 */
export async function benchSim(options: { reps: number; seed: number }): Promise<BenchResult> {
  const { reps, seed } = options
  const { nodes, devicesPerNode, jobs, replicas } = scenarioOf('reference')
  await simulate(WARM_UP_SEED)
  const runs: Rep[] = []
  for (let rep = 0; rep < reps; rep++) runs.push(await simulate(seed + rep))
  const alarms = runs.flatMap((run) => run.alarms)
  if (alarms.length > 0) throw new Error(alarms.join('\n'))
  const higher = { better: 'higher' } as const
  const ratios = (of: (run: Rep) => number): number[] => runs.map(of)
  return {
    settings: { scenario: 'reference', nodes, devicesPerNode, jobs, replicas, warmUps: 1, reps },
    checked: [
      `seeds ${seed} to ${seed + reps - 1}: no checker alarmed, all jobs ended, all is free again`,
    ],
    metrics: [
      metric(
        'times_real_time',
        'x',
        ratios((run) => run.simSeconds / run.wallSeconds),
        { ...higher, budget: 300 },
      ),
      metric(
        'times_real_time_by_cpu',
        'x',
        ratios((run) => run.simSeconds / run.cpuSeconds),
        higher,
      ),
      metric(
        'commits_per_simulated_second',
        '1/s',
        ratios((run) => run.commits / run.simSeconds),
        { ...higher, budget: 20 },
      ),
      metric(
        'alarms',
        '',
        ratios((run) => run.alarms.length),
        { better: 'lower', budget: 0 },
      ),
    ],
  }
}
