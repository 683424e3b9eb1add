import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT, type ServiceKit } from '@serverless-ai/hosting'
import type { AutoscalerConfig } from './config.ts'
import { installAutoscaler } from './install.ts'

const AUTOSCALER = Symbol('AUTOSCALER')

/** The autoscaler as a Nest module. */
@Module({})
export class AutoscalerModule {
  static with(config: AutoscalerConfig): DynamicModule {
    const { stepMs, giveBackAfterMs } = config
    const useFactory = (kit: ServiceKit) => installAutoscaler(kit, { stepMs, giveBackAfterMs })
    return {
      module: AutoscalerModule,
      providers: [{ provide: AUTOSCALER, inject: [SERVICE_KIT], useFactory }],
    }
  }
}
