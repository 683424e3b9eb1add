import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSnapshotDirectory } from '@serverless-ai/eventlog'
import {
  applyTopics,
  type KafkaConnection,
  type ObservedAppend,
  openKafkaLog,
  planTopics,
} from '@serverless-ai/eventlog/kafka'
import { brokerText, type KafkaBroker } from '../../support/kafka-broker.ts'
import { quietPorts as ports } from '../../support/quiet-ports.ts'
import { type BenchResult, metric, middleOf, quantile } from '../report.ts'
import {
  COUNTER,
  type CounterRuntime,
  checkCounted,
  counted,
  latencies,
  startCounter,
  throughput,
} from './counter.ts'
import { type CpuUse, cpuPerThing, machineText, ownBroker, watchCpu } from './cpu.ts'
import { ADAPTER, APPENDS, LARGE_BYTES, measureAdapter, SMALL_BYTES } from './kafka-adapter.ts'
import { LOG_SIZE } from './log.ts'

type Connection = KafkaConnection & { readonly ports: typeof ports }

interface Opened {
  readonly runtime: CounterRuntime
  /** Appends that were acknowledged so far, in their order; taken away by who asks. */
  takeAppends(): readonly ObservedAppend[]
  close(): Promise<void>
}

/** A counter without snapshots: all of its history is folded at the start. */
async function openCounter(connection: Connection): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-bench-'))
  const appends: ObservedAppend[] = []
  const observer = { ended: (append: ObservedAppend) => void appends.push(append), retried() {} }
  const eventLog = await openKafkaLog({ ...connection, observer })
  const snapshots = openSnapshotDirectory({ directory, ports })
  const runtime = await startCounter({ eventLog, snapshots })
  return {
    runtime,
    takeAppends: () => appends.splice(0),
    async close() {
      await runtime.stop()
      await eventLog.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

interface Sample {
  readonly commands: readonly number[]
  readonly acks: readonly number[]
  readonly commandsCpu: CpuUse
  readonly rate: number
  readonly batches: readonly ObservedAppend[]
  readonly batchedCpu: CpuUse
  readonly replayed: number
}

async function sample(connection: Connection): Promise<Sample> {
  const { warmUps, commands: count, batched, eventsPerCommand } = LOG_SIZE
  const first = await openCounter(connection)
  await latencies(first.runtime, warmUps)
  first.takeAppends()
  const commandsUse = watchCpu(ownBroker, 'service')
  const commands = await latencies(first.runtime, count)
  const commandsCpu = commandsUse()
  const acks = first.takeAppends().map(({ tookMs }) => tookMs)
  const batchedUse = watchCpu(ownBroker, 'service')
  const rate = await throughput(first.runtime, batched, eventsPerCommand)
  const batchedCpu = batchedUse()
  const batches = first.takeAppends()
  const before = await counted(first.runtime)
  await first.close()
  const startedMs = performance.now()
  const second = await openCounter(connection)
  const replayed = before / ((performance.now() - startedMs) / 1_000)
  const after = await counted(second.runtime)
  await second.close()
  checkCounted({ wanted: warmUps + count + batched, before, after })
  return { commands, acks, commandsCpu, rate, batches, batchedCpu, replayed }
}

const short = (value: number): string => value.toPrecision(3)

function oneByOneText({ commands, acks, commandsCpu }: Sample): string {
  const parts = ([0.5, 0.99] as const).map((part) => {
    const [all, ack] = [quantile(commands, part), quantile(acks, part)]
    return `p${part * 100} ${short(all)} ms, of these the broker's acknowledgement ${short(ack)}`
  })
  const cpu = `CPU ms of each: ${cpuPerThing(commandsCpu, commands.length)}`
  return `one by one: ${parts.join('; ')}; ${cpu}; ${machineText(commandsCpu)}`
}

function batchedText({ batches, batchedCpu }: Sample): string {
  const { batched } = LOG_SIZE
  const took = batches.map(({ tookMs }) => tookMs)
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)
  const kib = sum(batches.map(({ bytes }) => bytes)) / batches.length / 1_024
  const events = batched / batches.length
  const append = `${Math.round(events)} events, ${Math.round(kib)} KiB of an append`
  const share = Math.round((sum(took) / (batchedCpu.wallSeconds * 1_000)) * 100)
  const ack = `acknowledged in ${short(quantile(took, 0.5))} ms (p50), ${share} % of the time`
  const cpu = `CPU ms of 1,000 events: ${cpuPerThing(batchedCpu, batched / 1_000)}`
  return `batched: ${append}, ${ack}; ${cpu}; ${machineText(batchedCpu)}`
}

const ADAPTER_MS = [
  ...['append_ack_p50', 'append_ack_p99', 'append_visible_p50', 'append_visible_p99'],
  ...['group_visible_p50', 'group_visible_p99', 'tail_start', 'group_start'],
]
const ADAPTER_RATES = ['small_appends', 'large_appends', 'records_read']

/**
 * The same as on the embedded log, on one partition of a broker with one copy; beside it the
 * adapter alone.
 */
export async function benchKafkaLog(
  { reps }: { reps: number },
  broker: KafkaBroker,
): Promise<BenchResult> {
  const samples: Sample[] = []
  const adapter = new Map<string, number[]>()
  for (let rep = 0; rep < reps; rep += 1) {
    const brokers = broker.brokers.split(',')
    const connection = { brokers, topicPrefix: `bench-${process.pid}-${rep}.`, ports }
    await applyTopics(connection, planTopics({ services: [COUNTER, ADAPTER], replication: 1 }))
    samples.push(await sample(connection))
    await measureAdapter(connection, (name, value) => {
      adapter.set(name, [...(adapter.get(name) ?? []), value])
    })
  }
  const of = (pick: (one: Sample) => number) => samples.map(pick)
  const lower = { better: 'lower' } as const
  const higher = { better: 'higher' } as const
  const p50 = of(({ commands }) => quantile(commands, 0.5))
  const p99 = of(({ commands }) => quantile(commands, 0.99))
  const rate = of((one) => one.rate)
  const replay = of((one) => one.replayed)
  const middle = middleOf(samples, (one) => one.rate)
  const { commands, batched, eventsPerCommand } = LOG_SIZE
  return {
    settings: {
      log: 'kafka, one copy, acks=all, idempotent',
      broker: brokerText(broker),
      ...{ commands, batched, eventsPerCommand },
      ...{ appends: APPENDS, smallBytes: SMALL_BYTES, largeBytes: LARGE_BYTES, reps },
    },
    checked: [
      'all events are there, also when folded from the start after a restart',
      'every append of the adapter is read at the position that was acknowledged',
    ],
    limits: [oneByOneText(middle), batchedText(middle)],
    metrics: [
      metric('append_read_back_p50', 'ms', p50, lower),
      metric('append_read_back_p99', 'ms', p99, { ...lower, budget: 20 }),
      metric('events_per_second_batched', '1/s', rate, { ...higher, budget: 100_000 }),
      metric('events_per_second_replayed', '1/s', replay, { ...higher, budget: 200_000 }),
      ...ADAPTER_MS.map((name) => metric(`adapter_${name}`, 'ms', adapter.get(name) ?? [], lower)),
      ...ADAPTER_RATES.map((name) =>
        metric(`adapter_${name}`, '1/s', adapter.get(name) ?? [], higher),
      ),
    ],
  }
}
