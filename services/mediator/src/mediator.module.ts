import { join } from 'node:path'
import { type DynamicModule, Module } from '@nestjs/common'
import { RecoveryServiceService } from '@serverless-ai/contracts/recovery/v1/recovery'
import { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  PEERS,
  type Peers,
  PLATFORM_OPTIONS,
  type PlatformOptions,
  PORTS,
  RUNTIME_HOST,
  type RuntimeHost,
} from '@serverless-ai/hosting'
import type { Ports } from '@serverless-ai/kernel'
import { openBlobStore } from './adapters/blob-store.ts'
import { MEDIATOR_HANDLERS, MediatorGrpc } from './adapters/mediator.grpc.ts'
import type { MediatorRuntime } from './app/changes.ts'
import { mediatorDefinition } from './app/definition.ts'
import { mediatorHandlers } from './app/handlers.ts'
import type { BlobStore } from './app/workspaces.ts'
import type { MediatorConfig } from './config.ts'
import { MEDIATOR_RUNTIME, WORKSPACE_STORE } from './tokens.ts'

/** Wiring of the mediator. */
@Module({})
export class MediatorModule {
  static with(config: MediatorConfig): DynamicModule {
    const { maxTotalMib } = config.workspaces
    return {
      module: MediatorModule,
      providers: [
        {
          provide: MEDIATOR_RUNTIME,
          inject: [RUNTIME_HOST, PEERS],
          useFactory: (host: RuntimeHost, peers: Peers) =>
            host.add(mediatorDefinition(peers.client(SchedulerServiceService, 'scheduler'))),
        },
        {
          provide: WORKSPACE_STORE,
          inject: [PLATFORM_OPTIONS],
          useFactory: ({ dataDir, ports }: PlatformOptions) =>
            openBlobStore({
              directory: join(dataDir, 'workspaces'),
              maxTotalMib,
              randomness: ports.randomness,
            }),
        },
        {
          provide: MEDIATOR_HANDLERS,
          inject: [MEDIATOR_RUNTIME, PEERS, WORKSPACE_STORE, PORTS],
          useFactory: (runtime: MediatorRuntime, peers: Peers, store: BlobStore, ports: Ports) =>
            mediatorHandlers({
              runtime,
              store,
              clock: ports.clock,
              timers: ports.timers,
              scheduler: peers.client(SchedulerServiceService, 'scheduler'),
              recovery: peers.client(RecoveryServiceService, 'fault-tolerance'),
            }),
        },
        MediatorGrpc,
      ],
      exports: [MEDIATOR_RUNTIME],
    }
  }
}
