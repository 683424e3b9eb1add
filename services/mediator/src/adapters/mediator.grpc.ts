import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { JobServiceService, WorkspaceServiceService } from '@serverless-ai/contracts/job/v1/job'
import { GRPC_SERVER } from '@serverless-ai/hosting'
import type { TransportServer } from '@serverless-ai/kernel'
import type { MediatorHandlers } from '../app/handlers.ts'

/** Token of the {@link MediatorHandlers}. */
export const MEDIATOR_HANDLERS = Symbol('MEDIATOR_HANDLERS')

/** Serves `JobService` and `WorkspaceService`. */
@Injectable()
export class MediatorGrpc implements OnModuleInit {
  readonly #server: TransportServer
  readonly #handlers: MediatorHandlers

  constructor(
    @Inject(GRPC_SERVER) server: TransportServer,
    @Inject(MEDIATOR_HANDLERS) handlers: MediatorHandlers,
  ) {
    this.#server = server
    this.#handlers = handlers
  }

  onModuleInit(): void {
    addMediator(this.#server, this.#handlers)
  }
}

/** Adds both services to a server. */
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
