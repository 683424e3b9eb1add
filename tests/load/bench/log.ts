import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSnapshotDirectory, openSqliteLog } from '@serverless-ai/eventlog'
import { quietPorts as ports } from '../../support/quiet-ports.ts'
import { type BenchResult, metric, quantile } from '../report.ts'
import {
  type CounterRuntime,
  checkCounted,
  counted,
  latencies,
  startCounter,
  throughput,
} from './counter.ts'
import { SyncProbe } from './fsync.ts'

/** How much is measured, on any log. */
export const LOG_SIZE = { warmUps: 200, commands: 2_000, batched: 250_000, eventsPerCommand: 250 }

interface Opened {
  readonly runtime: CounterRuntime
  close(): Promise<void>
}

async function openCounter(directory: string): Promise<Opened> {
  const eventLog = await openSqliteLog({ directory: join(directory, 'log'), ports })
  const snapshots = openSnapshotDirectory({ directory: join(directory, 'snapshots'), ports })
  const runtime = await startCounter({ eventLog, snapshots })
  return {
    runtime,
    async close() {
      await runtime.stop()
      await eventLog.close()
    },
  }
}

interface Sample {
  readonly commands: readonly number[]
  readonly syncs: readonly number[]
  readonly rate: number
  readonly replayed: number
}

async function sample(directory: string): Promise<Sample> {
  const { warmUps, commands, batched, eventsPerCommand } = LOG_SIZE
  const first = await openCounter(directory)
  await latencies(first.runtime, warmUps)
  const syncs: number[] = []
  using probe = new SyncProbe(directory)
  // A bare sync before each command: both see the same moments of the disk.
  const took = await latencies(first.runtime, commands, () => void syncs.push(probe.syncMs()))
  const rate = await throughput(first.runtime, batched, eventsPerCommand)
  const before = await counted(first.runtime)
  await first.close()
  rmSync(join(directory, 'snapshots'), { recursive: true, force: true })
  const startedMs = performance.now()
  const second = await openCounter(directory)
  const replayed = before / ((performance.now() - startedMs) / 1_000)
  const after = await counted(second.runtime)
  await second.close()
  checkCounted({ wanted: warmUps + commands + batched, before, after })
  return { commands: took, syncs, rate, replayed }
}

/**
 * One command at a time, and many events in batches, through the whole path: decide, append, fsync,
 * read back, answer.
 */
export async function benchLog({ reps }: { reps: number }): Promise<BenchResult> {
  const samples: Sample[] = []
  for (let rep = 0; rep < reps; rep++) {
    const directory = mkdtempSync(join(tmpdir(), 'sai-bench-'))
    try {
      samples.push(await sample(directory))
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  const of = (pick: (one: Sample) => number) => samples.map(pick)
  const lower = { better: 'lower' } as const
  const p50 = of(({ commands }) => quantile(commands, 0.5))
  const p99 = of(({ commands }) => quantile(commands, 0.99))
  const fsync = of(({ syncs }) => quantile(syncs, 0.99))
  const over = of(({ commands, syncs }) => quantile(commands, 0.99) - quantile(syncs, 0.99))
  const rate = of((one) => one.rate)
  const replay = of((one) => one.replayed)
  const { commands, batched, eventsPerCommand } = LOG_SIZE
  return {
    settings: { log: 'sqlite, synchronous=FULL', commands, batched, eventsPerCommand, reps },
    checked: ['all events are there, also when folded from the start after a restart'],
    metrics: [
      metric('append_read_back_p50', 'ms', p50, lower),
      metric('append_read_back_p99', 'ms', p99, lower),
      metric('fsync_p99', 'ms', fsync, lower),
      metric('append_p99_over_fsync_p99', 'ms', over, { ...lower, budget: 2 }),
      metric('events_per_second_batched', '1/s', rate, { better: 'higher', budget: 100_000 }),
      metric('events_per_second_replayed', '1/s', replay, { better: 'higher', budget: 200_000 }),
    ],
  }
}
