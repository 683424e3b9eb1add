import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { TakenJobs } from './app/changes.ts'
import { type MediatorRuntime, mediatorDefinition } from './app/definition.ts'
import { mediatorHandlers } from './app/handlers.ts'
import { watchMediator } from './app/metrics.ts'
import type { BlobStore } from './app/workspaces.ts'

export type { MediatorRuntime } from './app/definition.ts'
export type { BlobStore, Incoming } from './app/workspaces.ts'

/** Makes the mediator in a process of the control plane; it starts and stops with it. */
export function installMediator(
  { host, peers, ports, server, metrics }: ServiceKit,
  { store }: { readonly store: BlobStore },
): { readonly runtime: MediatorRuntime } {
  const scheduler = peers.client(SchedulerServiceService, 'scheduler')
  const recovery = peers.client(RecoveryServiceService, 'fault-tolerance')
  const taken = new TakenJobs()
  const runtime = host.add(mediatorDefinition(scheduler, (jobId) => taken.tell(jobId)))
  const { clock, timers } = ports
  const handlers = mediatorHandlers({ runtime, taken, store, clock, timers, scheduler, recovery })
  server.add(JobServiceService, handlers.jobs)
  server.add(WorkspaceServiceService, handlers.workspaces)
  if (metrics !== undefined) watchMediator(metrics, runtime)
  return { runtime }
}
