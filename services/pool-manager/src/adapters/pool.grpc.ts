import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnModuleInit,
} from '@nestjs/common'
import { AgentServiceService } from '@serverless-ai/contracts/agent/v1/agent'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { GRPC_SERVER } from '@serverless-ai/hosting'
import type { TransportServer } from '@serverless-ai/kernel'
import type { PoolApp } from '../app/pool-app.ts'
import { POOL_APP } from '../tokens.ts'

/** Serves AgentService and PoolService. */
@Injectable()
export class PoolGrpc implements OnModuleInit, BeforeApplicationShutdown {
  readonly #app: PoolApp
  readonly #server: TransportServer

  constructor(@Inject(POOL_APP) app: PoolApp, @Inject(GRPC_SERVER) server: TransportServer) {
    this.#app = app
    this.#server = server
  }

  onModuleInit(): void {
    this.#server.add(AgentServiceService, this.#app.agents)
    this.#server.add(PoolServiceService, this.#app.pool)
    this.#app.start()
  }

  beforeApplicationShutdown(): void {
    this.#app.stop()
  }
}
