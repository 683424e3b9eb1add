import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import type { TransportServer } from '@serverless-ai/kernel'
import { type MediatorRuntime, mediatorDefinition } from './app/definition.ts'
import { type MediatorHandlers, mediatorHandlers } from './app/handlers.ts'
import type { BlobStore } from './app/workspaces.ts'

export type { MediatorRuntime } from './app/definition.ts'
export type { BlobStore, Incoming } from './app/workspaces.ts'

/** Makes the mediator in a process of the control plane; it starts and stops with it. */
export function installMediator(
  kit: ServiceKit,
  { store }: { readonly store: BlobStore },
): { readonly runtime: MediatorRuntime } {
  const { host, peers, ports, server } = kit
  const scheduler = peers.client(SchedulerServiceService, 'scheduler')
  const recovery = peers.client(RecoveryServiceService, 'fault-tolerance')
  const runtime = host.add(mediatorDefinition(scheduler))
  const { clock, timers } = ports
  const handlers = mediatorHandlers({ runtime, store, clock, timers, scheduler, recovery })
  addMediator(server, handlers)
  return { runtime }
}

/** Adds `JobService` and `WorkspaceService` to a server. */
export function addMediator(server: TransportServer, handlers: MediatorHandlers): void {
  const { jobs, submit, explain, workspaces } = handlers
  server.add(JobServiceService, {
    submitJob: (request, context) => submit.submit(request, context),
    getJob: (request, context) => jobs.get(request, context),
    listJobs: (request, context) => jobs.list(request, context),
    watchJob: (request, context) => jobs.watch(request, context),
    cancelJob: (request, context) => jobs.cancel(request, context),
    explainJob: (request, context) => explain.explain(request, context),
  })
  server.add(WorkspaceServiceService, {
    uploadWorkspace: (requests, context) => workspaces.upload(requests, context),
    downloadWorkspace: (request, context) => workspaces.download(request, context),
  })
}
