import { performance } from 'node:perf_hooks'
import type { Metrics } from '@serverless-ai/telemetry'

/** Processor, memory and event loop of this process, and what runs in it. */
export function watchProcess(
  metrics: Metrics,
  build: { readonly version: string; readonly replica: string; readonly log: string },
): void {
  const of = { process: metrics.process }
  let before = performance.eventLoopUtilization()
  metrics.onScrape(() => {
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    metrics.total('sai_process_cpu_seconds_total', of, (user + system) / 1e6)
    metrics.set('sai_process_resident_memory_bytes', of, rss)
    metrics.set('sai_process_heap_used_bytes', of, heapUsed)
    metrics.set('sai_process_event_loop_utilization_ratio', of, utilization)
    metrics.set('sai_process_start_time_seconds', of, performance.timeOrigin / 1_000)
    metrics.set('sai_build_info', { ...of, ...build }, 1)
  })
}
