import type { EventLog, SnapshotStore } from '@serverless-ai/eventlog'
import { accept } from '@serverless-ai/kernel'
import { createRuntime, type ServiceDefinition, type ServiceRuntime } from '@serverless-ai/runtime'
import { quietPorts as ports } from '../../support/quiet-ports.ts'

type Count = { type: 'Counted'; by: number; note: string }
type Add = { type: 'Add'; events: number }
type Total = { total: number; events: number }

/** Name of the counter in its topics. */
export const COUNTER = 'bench-counter'

const NOTE =
  'a line of about one hundred bytes, so that an event has the size of a usual one in a real log'

/** A counter: the smallest service that shows what the log and the loop cost. */
const counter: ServiceDefinition<Total, Add, Count> = {
  name: COUNTER,
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

/** A counter that runs. */
export type CounterRuntime = ServiceRuntime<Total, Add, Count>

/** Callers of {@link throughput} at once. */
const CALLERS = 64

/** Starts a counter on a log: its history is folded when this resolves. */
export async function startCounter(init: {
  readonly eventLog: EventLog
  readonly snapshots: SnapshotStore
}): Promise<CounterRuntime> {
  const feed = () => Promise.reject(new Error('no peers'))
  const environment = { ...init, feed, replica: 'r1', address: '', partition: 0 }
  const runtime = createRuntime(counter, environment, ports)
  await runtime.start()
  return runtime
}

/** Commands of one event, one by one; ms of each. `before` comes before every command. */
export async function latencies(
  runtime: CounterRuntime,
  count: number,
  before: () => void = () => {},
): Promise<readonly number[]> {
  const commands: number[] = []
  for (let i = 0; i < count; i++) {
    before()
    const startedMs = performance.now()
    await runtime.execute({ type: 'Add', events: 1 })
    commands.push(performance.now() - startedMs)
  }
  return commands
}

/** Events per second when many callers add `perCommand` events at a time, `total` in all. */
export async function throughput(
  runtime: CounterRuntime,
  total: number,
  perCommand: number,
): Promise<number> {
  let left = total / perCommand
  const before = performance.now()
  const worker = async () => {
    while (left > 0) {
      left -= 1
      await runtime.execute({ type: 'Add', events: perCommand })
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, worker))
  return total / ((performance.now() - before) / 1_000)
}

/** Events that a counter has counted. */
export const counted = async (runtime: CounterRuntime): Promise<number> =>
  (await runtime.read((state) => state.events)).value

/** Throws unless all events are there, before a restart and after it. */
export function checkCounted(init: { wanted: number; before: number; after: number }): void {
  const { wanted, before, after } = init
  if (before === wanted && after === wanted) return
  throw new Error(`${wanted} events were made: ${before} before, ${after} after the restart`)
}
