import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSnapshotDirectory, openSqliteLog } from '@serverless-ai/eventlog'
import { accept } from '@serverless-ai/kernel'
import { createRuntime, type ServiceDefinition, type ServiceRuntime } from '@serverless-ai/runtime'
import { quietPorts as ports } from '../../support/quiet-ports.ts'
import { type BenchResult, metric, quantile } from '../report.ts'
import { SyncProbe } from './fsync.ts'

type Count = { type: 'Counted'; by: number; note: string }
type Add = { type: 'Add'; events: number }
type Total = { total: number; events: number }

const NOTE =
  'a line of about one hundred bytes, so that an event has the size of a usual one in a real log'

/** A counter: the smallest service that shows what the log and the loop cost. */
const counter: ServiceDefinition<Total, Add, Count> = {
  name: 'bench-counter',
  schemaVersion: 1,
  decider: {
    initial: () => ({ total: 0, events: 0 }),
    decide: ({ events }) =>
      accept(
        Array.from({ length: events }, (_, by) => ({ type: 'Counted', by, note: NOTE }) as const),
      ),
    evolve(state, { by }) {
      state.total += by
      state.events += 1
      return state
    },
    toJson: (state) => state,
    fromJson: (json) => json as Total,
  },
  publish: () => [],
  snapshotFeed: () => [],
  inputs: [],
}

type Runtime = ServiceRuntime<Total, Add, Count>

async function openCounter(
  directory: string,
): Promise<{ runtime: Runtime; close(): Promise<void> }> {
  const eventLog = await openSqliteLog({ directory: join(directory, 'log'), ports })
  const snapshots = openSnapshotDirectory({ directory: join(directory, 'snapshots'), ports })
  const feed = () => Promise.reject(new Error('no peers'))
  const environment = { eventLog, snapshots, feed, replica: 'r1', address: '', partition: 0 }
  const runtime = createRuntime(counter, environment, ports)
  await runtime.start()
  return {
    runtime,
    async close() {
      await runtime.stop()
      await eventLog.close()
    },
  }
}

/** Commands one by one, a bare sync before each: both see the same moments of the disk. */
async function latencies(
  runtime: Runtime,
  init: { directory: string; count: number },
): Promise<{ commands: number[]; syncs: number[] }> {
  using probe = new SyncProbe(init.directory)
  const commands: number[] = []
  const syncs: number[] = []
  for (let i = 0; i < init.count; i++) {
    syncs.push(probe.syncMs())
    const before = performance.now()
    await runtime.execute({ type: 'Add', events: 1 })
    commands.push(performance.now() - before)
  }
  return { commands, syncs }
}

async function throughput(runtime: Runtime, total: number, perCommand: number): Promise<number> {
  let left = total / perCommand
  const before = performance.now()
  const worker = async () => {
    while (left > 0) {
      left -= 1
      await runtime.execute({ type: 'Add', events: perCommand })
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return total / ((performance.now() - before) / 1_000)
}

/**
 * One command at a time, and many events in batches, through the whole path: decide, append, fsync,
 * read back, answer.
 */
export async function benchLog({ reps }: { reps: number }): Promise<BenchResult> {
  const commands = 2_000
  const batched = 250_000
  const fsync: number[] = []
  const p50: number[] = []
  const p99: number[] = []
  const over: number[] = []
  const rate: number[] = []
  const replay: number[] = []
  const checked = new Set<string>()
  for (let rep = 0; rep < reps; rep++) {
    const directory = mkdtempSync(join(tmpdir(), 'sai-bench-'))
    try {
      const first = await openCounter(directory)
      await latencies(first.runtime, { directory, count: 200 })
      const measured = await latencies(first.runtime, { directory, count: commands })
      const samples = measured.commands
      const syncP99 = quantile(measured.syncs, 0.99)
      rate.push(await throughput(first.runtime, batched, 250))
      fsync.push(syncP99)
      p50.push(quantile(samples, 0.5))
      p99.push(quantile(samples, 0.99))
      over.push(quantile(samples, 0.99) - syncP99)
      const before = (await first.runtime.read((state) => state.events)).value
      await first.close()
      rmSync(join(directory, 'snapshots'), { recursive: true, force: true })
      const startedMs = performance.now()
      const second = await openCounter(directory)
      replay.push(before / ((performance.now() - startedMs) / 1_000))
      const after = (await second.runtime.read((state) => state.events)).value
      await second.close()
      if (before !== 200 + commands + batched || after !== before) {
        throw new Error(`events lost: ${before} before, ${after} after the restart`)
      }
      checked.add('all events are there, also when folded from the start after a restart')
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  return {
    settings: { log: 'sqlite, synchronous=FULL', commands, batched, eventsPerCommand: 250, reps },
    checked: [...checked],
    metrics: [
      metric('append_read_back_p50', 'ms', p50, { better: 'lower' }),
      metric('append_read_back_p99', 'ms', p99, { better: 'lower' }),
      metric('fsync_p99', 'ms', fsync, { better: 'lower' }),
      metric('append_p99_over_fsync_p99', 'ms', over, { better: 'lower', budget: 2 }),
      metric('events_per_second_batched', '1/s', rate, { better: 'higher', budget: 100_000 }),
      metric('events_per_second_replayed', '1/s', replay, { better: 'higher', budget: 200_000 }),
    ],
  }
}
