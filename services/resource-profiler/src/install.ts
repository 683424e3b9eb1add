import { ProfileServiceService } from '@serverless-ai/contracts/profile/v1/profile'
import { TelemetryIntakeServiceService } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { Collector } from './app/collector.ts'
import { type ProfilerRuntime, resourceProfilerDefinition } from './app/definition.ts'
import { ProfileHandlers } from './app/handlers.ts'
import { TelemetryIntake } from './app/intake.ts'
import { countRejected, watchProfiler } from './app/metrics.ts'

export type { ProfilerRuntime } from './app/definition.ts'

/**
 * Makes the resource profiler in a process of the control plane; it starts and stops with it.
 * Without a telemetry bus it knows what agents send to this very process, and no load.
 */
export function installResourceProfiler(kit: ServiceKit): { readonly runtime: ProfilerRuntime } {
  const { host, server, metrics, ports, options } = kit
  const { telemetry } = options
  const runtime = host.add(resourceProfilerDefinition())
  const collector = new Collector(runtime, ports)
  const intake = new TelemetryIntake({
    clock: ports.clock,
    logger: ports.logger,
    deliver(batch) {
      if (telemetry !== undefined) return telemetry.publish(batch) === 'sent'
      collector.take({ batch, missingMs: 0 })
      return true
    },
    ...(metrics === undefined
      ? {}
      : { onRejected: (code, samples) => countRejected(metrics, code, samples) }),
  })
  server.add(ProfileServiceService, new ProfileHandlers(runtime, ports.clock).handlers())
  server.add(TelemetryIntakeServiceService, intake.handlers())
  if (telemetry !== undefined) kit.onStart(() => collector.start(telemetry))
  kit.onStop(() => collector.stop())
  if (metrics !== undefined) watchProfiler(metrics, runtime, { intake, collector })
  return { runtime }
}
