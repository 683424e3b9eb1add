import { type DynamicModule, Module } from '@nestjs/common'
import { PORTS, RUNTIME_HOST, type RuntimeHost } from '@serverless-ai/hosting'
import type { Ports } from '@serverless-ai/kernel'
import { PoolGrpc } from './adapters/pool.grpc.ts'
import { type PoolRuntime, poolDefinition } from './app/definition.ts'
import { createPoolApp } from './app/pool-app.ts'
import type { PoolManagerConfig } from './config.ts'
import { POOL_APP, POOL_RUNTIME } from './tokens.ts'

/** Wiring of the pool manager. */
@Module({})
export class PoolManagerModule {
  static with(config: PoolManagerConfig): DynamicModule {
    return {
      module: PoolManagerModule,
      providers: [
        {
          provide: POOL_RUNTIME,
          inject: [RUNTIME_HOST],
          useFactory: (host: RuntimeHost) => host.add(poolDefinition()),
        },
        {
          provide: POOL_APP,
          inject: [POOL_RUNTIME, PORTS],
          useFactory: (runtime: PoolRuntime, ports: Ports) =>
            createPoolApp({ runtime, ports, leaseMs: config.leaseMs }),
        },
        PoolGrpc,
      ],
    }
  }
}
