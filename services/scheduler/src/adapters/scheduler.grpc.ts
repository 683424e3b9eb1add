import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import {
  QueueServiceService,
  SchedulerServiceService,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { GRPC_SERVER } from '@serverless-ai/hosting'
import type { TransportServer } from '@serverless-ai/kernel'
import { SchedulerHandlers, type SchedulerRuntime } from '../app/handlers.ts'
import { SCHEDULER_RUNTIME } from '../tokens.ts'

/** Serves the scheduler's RPCs. */
@Injectable()
export class SchedulerGrpc implements OnModuleInit {
  private readonly server: TransportServer
  private readonly handlers: SchedulerHandlers

  constructor(
    @Inject(GRPC_SERVER) server: TransportServer,
    @Inject(SCHEDULER_RUNTIME) runtime: SchedulerRuntime,
  ) {
    this.server = server
    this.handlers = new SchedulerHandlers(runtime)
  }

  onModuleInit(): void {
    this.server.add(SchedulerServiceService, this.handlers.scheduler())
    this.server.add(QueueServiceService, this.handlers.queues())
  }
}
