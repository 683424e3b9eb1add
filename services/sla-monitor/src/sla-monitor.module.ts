import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT, type ServiceKit } from '@serverless-ai/hosting'
import type { SlaMonitorConfig } from './config.ts'
import { installSlaMonitor } from './install.ts'

const SLA_MONITOR = Symbol('SLA_MONITOR')

/** The SLA monitor as a Nest module. */
@Module({})
export class SlaMonitorModule {
  static with({ classes }: SlaMonitorConfig): DynamicModule {
    const useFactory = (kit: ServiceKit) => installSlaMonitor(kit, { classes })
    return {
      module: SlaMonitorModule,
      providers: [{ provide: SLA_MONITOR, inject: [SERVICE_KIT], useFactory }],
    }
  }
}
