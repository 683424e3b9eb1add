import { openMemoryLog } from '@serverless-ai/eventlog'
import { foldService, SERVICES } from '../../support/fold.ts'
import { quietPorts as ports } from '../../support/quiet-ports.ts'
import { type BenchResult, metric } from '../report.ts'
import { type RecordedLogs, recordLogs } from './replay-log.ts'
import { APPEND_MS } from './replay-platform.ts'

const SIZE = { events: 1_000_000, nodes: 200, devicesPerNode: 32, openJobs: 1_600 }

/** Folds all logs from their starts; returns the seconds it took, by service. */
async function replay(logs: RecordedLogs): Promise<Map<string, number>> {
  const eventLog = openMemoryLog({ ports, store: logs.store })
  const seconds = new Map<string, number>()
  for (const service of SERVICES) {
    const recorded = logs.services.get(service)
    // Objectives are not part of the load.
    if (recorded === undefined) continue
    const startedMs = performance.now()
    const folded = await foldService(service, { eventLog, through: recorded.through })
    seconds.set(service, (performance.now() - startedMs) / 1_000)
    if (folded.digest !== recorded.digest || folded.diverged !== '') {
      throw new Error(`${service}: replayed to ${folded.digest}, recorded ${recorded.digest}`)
    }
  }
  return seconds
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0)

/**
 * A log of a million domain events that the real services wrote under load, folded from its start
 * by the same cores: rate over all services, and of each.
 */
export async function benchReplay(options: { reps: number; seed: number }): Promise<BenchResult> {
  const { reps, seed } = options
  const logs = await recordLogs({ ...SIZE, seed })
  const total = { events: 0, commits: 0, bytes: 0 }
  for (const { events, commits, bytes } of logs.services.values()) {
    total.events += events
    total.commits += commits
    total.bytes += bytes
  }
  if (total.events < SIZE.events) throw new Error(`only ${total.events} events were recorded`)
  await replay(logs)
  const rates: number[] = []
  const perService = new Map(
    [...logs.services.keys()].map((service): [string, number[]] => [service, []]),
  )
  for (let rep = 0; rep < reps; rep++) {
    const seconds = await replay(logs)
    rates.push(total.events / sum(seconds.values()))
    for (const [service, taken] of seconds) {
      const events = logs.services.get(service)?.events ?? 0
      perService.get(service)?.push(events / taken)
    }
  }
  return {
    settings: {
      log: `memory, appends of ${APPEND_MS.join(' to ')} ms while it was recorded`,
      ...SIZE,
      jobs: logs.jobs,
      ...total,
      eventsPerCommit: Number((total.events / total.commits).toFixed(1)),
      reps,
    },
    checked: [
      'each service is replayed to the digest that its leader had',
      'no digest in the logs differs',
    ],
    metrics: [
      metric('events_per_second_replayed', '1/s', rates, { better: 'higher', budget: 200_000 }),
      ...[...perService].map(([service, values]) =>
        metric(`events_per_second_${service.replaceAll('-', '_')}`, '1/s', values, {
          better: 'higher',
        }),
      ),
    ],
  }
}
