import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT } from '@serverless-ai/hosting'
import { installSlaMonitor } from './install.ts'

const SLA_MONITOR = Symbol('SLA_MONITOR')

/** The SLA monitor as a Nest module. */
@Module({})
export class SlaMonitorModule {
  static with(): DynamicModule {
    return {
      module: SlaMonitorModule,
      providers: [{ provide: SLA_MONITOR, inject: [SERVICE_KIT], useFactory: installSlaMonitor }],
    }
  }
}
