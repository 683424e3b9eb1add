import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import { ObjectiveServiceService } from '@serverless-ai/contracts/objective/v1/objective'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { REQUEST_CLASSES } from '@serverless-ai/contracts/services'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { TakenJobs } from './app/changes.ts'
import { type MediatorRuntime, mediatorDefinition } from './app/definition.ts'
import { mediatorHandlers } from './app/handlers.ts'
import { watchMediator } from './app/metrics.ts'
import type { ObjectivesClient } from './app/serving.ts'
import type { BlobStore } from './app/workspaces.ts'

export type { MediatorRuntime } from './app/definition.ts'
export type { BlobStore, Incoming } from './app/workspaces.ts'

/** Undefined = this process has not been told where the SLA monitor is. */
function objectivesOf({ peers }: ServiceKit): ObjectivesClient | undefined {
  if (!peers.knows('sla-monitor')) return undefined
  return peers.client(ObjectiveServiceService, 'sla-monitor')
}

/** Makes the mediator in a process of the control plane; it starts and stops with it. */
export function installMediator(
  kit: ServiceKit,
  init: { readonly store: BlobStore; readonly classes?: readonly string[] },
): { readonly runtime: MediatorRuntime } {
  const { host, peers, ports, server, metrics } = kit
  const { store, classes = REQUEST_CLASSES } = init
  const scheduler = peers.client(SchedulerServiceService, 'scheduler')
  const recovery = peers.client(RecoveryServiceService, 'fault-tolerance')
  const taken = new TakenJobs()
  const runtime = host.add(mediatorDefinition(scheduler, (jobId) => taken.tell(jobId)))
  const { clock, timers } = ports
  const serving = { classes, objectives: objectivesOf(kit) }
  const handlers = mediatorHandlers({
    ...{ runtime, taken, store, clock, timers, scheduler, recovery, serving },
  })
  server.add(JobServiceService, handlers.jobs)
  server.add(WorkspaceServiceService, handlers.workspaces)
  if (metrics !== undefined) watchMediator(metrics, runtime)
  return { runtime }
}
