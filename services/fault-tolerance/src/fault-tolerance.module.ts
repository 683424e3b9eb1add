import { type DynamicModule, Module } from '@nestjs/common'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { PEERS, type Peers, RUNTIME_HOST, type RuntimeHost } from '@serverless-ai/hosting'
import { RecoveryGrpc } from './adapters/recovery.grpc.ts'
import { faultToleranceDefinition } from './app/definition.ts'
import { FAULT_TOLERANCE_RUNTIME } from './tokens.ts'

/** Wiring of fault tolerance. */
@Module({})
export class FaultToleranceModule {
  static with(): DynamicModule {
    return {
      module: FaultToleranceModule,
      providers: [
        {
          provide: FAULT_TOLERANCE_RUNTIME,
          inject: [RUNTIME_HOST, PEERS],
          useFactory: (host: RuntimeHost, peers: Peers) =>
            host.add(
              faultToleranceDefinition(() => peers.client(SchedulerServiceService, 'scheduler')),
            ),
        },
        RecoveryGrpc,
      ],
      exports: [FAULT_TOLERANCE_RUNTIME],
    }
  }
}
