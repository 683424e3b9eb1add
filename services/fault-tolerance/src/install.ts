import {
  CheckpointServiceService,
  RecoveryServiceService,
} from '@serverless-ai/contracts/recovery/v1/recovery'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { type FaultRuntime, faultToleranceDefinition } from './app/definition.ts'
import { checkpointHandlers, recoveryHandlers } from './app/handlers.ts'
import { watchFaultTolerance } from './app/metrics.ts'

export type { FaultRuntime } from './app/definition.ts'

/** Makes fault tolerance in a process of the control plane; it starts and stops with it. */
export function installFaultTolerance({ host, peers, server, metrics }: ServiceKit): {
  readonly runtime: FaultRuntime
} {
  const scheduler = peers.client(SchedulerServiceService, 'scheduler')
  const runtime = host.add(faultToleranceDefinition(scheduler))
  server.add(RecoveryServiceService, recoveryHandlers(runtime))
  server.add(CheckpointServiceService, checkpointHandlers(runtime))
  if (metrics !== undefined) watchFaultTolerance(metrics, runtime)
  return { runtime }
}
