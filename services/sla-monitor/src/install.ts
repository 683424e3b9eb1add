import { ObjectiveServiceService } from '@serverless-ai/contracts/objective/v1/objective'
import { REQUEST_CLASSES } from '@serverless-ai/contracts/services'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { type SlaRuntime, slaMonitorDefinition } from './app/definition.ts'
import { ObjectiveHandlers } from './app/handlers.ts'
import { TelemetryIntake } from './app/intake.ts'
import { watchSlaMonitor } from './app/metrics.ts'

export type { SlaRuntime } from './app/definition.ts'

/**
 * Makes the SLA monitor in a process of the control plane; it starts and stops with it. Without a
 * telemetry bus it knows jobs alone.
 */
export function installSlaMonitor(
  kit: ServiceKit,
  { classes = REQUEST_CLASSES }: { readonly classes?: readonly string[] } = {},
): { readonly runtime: SlaRuntime } {
  const { host, server, metrics, ports, options } = kit
  const runtime = host.add(slaMonitorDefinition())
  const intake = new TelemetryIntake(runtime, ports)
  server.add(
    ObjectiveServiceService,
    new ObjectiveHandlers({ runtime, clock: ports.clock, classes }).handlers(),
  )
  const { telemetry } = options
  if (telemetry !== undefined) kit.onStart(() => intake.start(telemetry))
  kit.onStop(() => intake.stop())
  if (metrics !== undefined) watchSlaMonitor(metrics, runtime, intake)
  return { runtime }
}
