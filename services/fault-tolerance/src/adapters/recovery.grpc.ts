import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import {
  CheckpointServiceService,
  RecoveryServiceService,
} from '@serverless-ai/contracts/recovery/v1/recovery'
import { GRPC_SERVER } from '@serverless-ai/hosting'
import type { TransportServer } from '@serverless-ai/kernel'
import { checkpointHandlers, type FaultRuntime, recoveryHandlers } from '../app/handlers.ts'
import { FAULT_TOLERANCE_RUNTIME } from '../tokens.ts'

/** `RecoveryService` and `CheckpointService` on the process's gRPC server. */
@Injectable()
export class RecoveryGrpc implements OnModuleInit {
  readonly #server: TransportServer
  readonly #runtime: FaultRuntime

  constructor(
    @Inject(GRPC_SERVER) server: TransportServer,
    @Inject(FAULT_TOLERANCE_RUNTIME) runtime: FaultRuntime,
  ) {
    this.#server = server
    this.#runtime = runtime
  }

  onModuleInit(): void {
    this.#server.add(RecoveryServiceService, recoveryHandlers(this.#runtime))
    this.#server.add(CheckpointServiceService, checkpointHandlers(this.#runtime))
  }
}
