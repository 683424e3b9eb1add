import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT, type ServiceKit } from '@serverless-ai/hosting'
import type { PoolManagerConfig } from './config.ts'
import { installPoolManager } from './install.ts'

const POOL_MANAGER = Symbol('POOL_MANAGER')

/** The pool manager as a Nest module. */
@Module({})
export class PoolManagerModule {
  static with(config: PoolManagerConfig): DynamicModule {
    const useFactory = (kit: ServiceKit) => installPoolManager(kit, config)
    return {
      module: PoolManagerModule,
      providers: [{ provide: POOL_MANAGER, inject: [SERVICE_KIT], useFactory }],
    }
  }
}
