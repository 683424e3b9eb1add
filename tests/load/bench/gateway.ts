import { RATE, refuseLosses } from '../gateway/common.ts'
import { addedLatency, SLICE_MS } from '../gateway/latency.ts'
import { memoryPerStream, STREAMS } from '../gateway/memory.ts'
import { fairness, overloadByClass } from '../gateway/overload.ts'
import { rollingUpdate } from '../gateway/rolling.ts'
import { type BenchResult, metric } from '../report.ts'

/** `bench -- gateway`. */
export async function benchGateway(options: { reps: number; seed: number }): Promise<BenchResult> {
  const latencies = await addedLatency(options)
  const memory = await memoryPerStream(options)
  const rolled = await rollingUpdate({ ...options, replacements: 6 })
  refuseLosses('rolling update', rolled)
  const classes = await overloadByClass(options)
  const shares = await fairness(options)
  const one = (name: string, value: number, budget?: { better: 'lower' | 'higher'; at: number }) =>
    metric(name, 'ratio', [value], {
      better: budget?.better ?? 'higher',
      ...(budget && { budget: budget.at }),
    })
  return {
    settings: { ratePerSecond: RATE, sliceMs: SLICE_MS, streams: STREAMS, reps: options.reps },
    checked: [
      'every request of the latency loops was answered with 200',
      `${rolled.length} requests at ${RATE}/s under six replacements of replicas: 0 lost`,
      `${STREAMS} streams were open at the measurement of memory`,
    ],
    metrics: [
      ...latencies,
      ...memory,
      one('top_class_goodput_of_unloaded', classes['top_class_goodput_of_unloaded']!, {
        better: 'higher',
        at: 0.95,
      }),
      one('overload_served_interactive', classes['served_interactive']!),
      one('overload_served_standard', classes['served_standard']!),
      one('overload_served_batch', classes['served_batch']!),
      one('worst_share_off_by', shares['worst_share_off_by']!, { better: 'lower', at: 0.1 }),
    ],
  }
}
