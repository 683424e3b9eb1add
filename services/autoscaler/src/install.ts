import { ScalingServiceService } from '@serverless-ai/contracts/scaling/v1/scaling'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { type AutoscalerRuntime, autoscalerDefinition } from './app/definition.ts'
import { ScalingHandlers } from './app/handlers.ts'
import { watchAutoscaler } from './app/metrics.ts'
import { Stepper, type StepSettings } from './app/stepper.ts'

export type { AutoscalerRuntime } from './app/definition.ts'
export type { StepSettings } from './app/stepper.ts'

/**
 * Makes the autoscaler in a process of the control plane; it starts and stops with it. Without a
 * telemetry bus it knows of requests only what gates say at once.
 */
export function installAutoscaler(
  kit: ServiceKit,
  settings: StepSettings,
): { readonly runtime: AutoscalerRuntime } {
  const { host, peers, server, metrics, ports, options } = kit
  const scheduler = peers.client(SchedulerServiceService, 'scheduler')
  const runtime = host.add(autoscalerDefinition(scheduler))
  const stepper = new Stepper(runtime, ports, settings)
  server.add(ScalingServiceService, new ScalingHandlers(runtime, stepper, ports.clock).handlers())
  kit.onStart(() => stepper.start(options.telemetry))
  kit.onStop(() => stepper.stop())
  if (metrics !== undefined) watchAutoscaler(metrics, runtime, stepper)
  return { runtime }
}
