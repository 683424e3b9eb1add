import { setTimeout as sleep } from 'node:timers/promises'
import { Platform } from '../../support/platform.ts'
import { cpuSeconds, memoryMib } from '../../support/process-tree.ts'
import { type BenchResult, metric } from '../report.ts'

const WATCH_MS = 10_000
interface Sample {
  readonly startSeconds: number
  readonly controlMib: number
  readonly controlCpuPct: number
  readonly nodeMib: number
}

async function sample(): Promise<Sample> {
  const startedMs = performance.now()
  const platform = await Platform.start({ leaseMs: 15_000, nodes: 3 })
  try {
    const startSeconds = (performance.now() - startedMs) / 1_000
    const before = cpuSeconds(platform.pid)
    await sleep(WATCH_MS)
    const controlCpuPct = ((cpuSeconds(platform.pid) - before) / (WATCH_MS / 1_000)) * 100
    const nodeMib = Math.max(
      ...['n1', 'n2', 'n3'].map((nodeId) => {
        const { supervisor, agent } = platform.node(nodeId)
        return memoryMib(supervisor).now + memoryMib(agent).now
      }),
    )
    return { startSeconds, controlMib: memoryMib(platform.pid).now, controlCpuPct, nodeMib }
  } finally {
    await platform.close()
  }
}

/** The platform with nothing to do: memory, CPU, time to ready (last row of the budgets). */
export async function benchIdle({ reps }: { reps: number }): Promise<BenchResult> {
  const samples: Sample[] = []
  for (let rep = 0; rep < reps; rep++) samples.push(await sample())
  const of = (pick: (one: Sample) => number) => samples.map(pick)
  return {
    settings: { nodes: 3, leaseMs: 15_000, watchedMs: WATCH_MS, reps },
    checked: ['/readyz answered yes with three agents before each sample'],
    metrics: [
      metric(
        'start_to_ready_warm',
        's',
        of((s) => s.startSeconds),
        { better: 'lower', budget: 4 },
      ),
      metric(
        'control_plane_rss',
        'MiB',
        of((s) => s.controlMib),
        { better: 'lower', budget: 250 },
      ),
      metric(
        'control_plane_cpu',
        '% of a core',
        of((s) => s.controlCpuPct),
        {
          better: 'lower',
          budget: 2,
        },
      ),
      metric(
        'agent_and_supervisor_rss',
        'MiB',
        of((s) => s.nodeMib),
        {
          better: 'lower',
          budget: 120,
        },
      ),
    ],
  }
}
