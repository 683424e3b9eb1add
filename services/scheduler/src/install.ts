import {
  QueueServiceService,
  SchedulerServiceService,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { type SchedulerRuntime, schedulerDefinition } from './app/definition.ts'
import { SchedulerHandlers } from './app/handlers.ts'
import { watchScheduler } from './app/metrics.ts'

export type { SchedulerRuntime } from './app/definition.ts'

/** Makes the scheduler in a process of the control plane; it starts and stops with it. */
export function installScheduler({ host, server, metrics }: ServiceKit): {
  readonly runtime: SchedulerRuntime
} {
  const runtime = host.add(schedulerDefinition())
  const handlers = new SchedulerHandlers(runtime)
  server.add(SchedulerServiceService, handlers.scheduler())
  server.add(QueueServiceService, handlers.queues())
  if (metrics !== undefined) watchScheduler(metrics, runtime)
  return { runtime }
}
