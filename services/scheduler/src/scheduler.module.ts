import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT } from '@serverless-ai/hosting'
import { installScheduler } from './install.ts'

const SCHEDULER = Symbol('SCHEDULER')

/** The scheduler as a Nest module. */
@Module({})
export class SchedulerModule {
  static with(): DynamicModule {
    return {
      module: SchedulerModule,
      providers: [{ provide: SCHEDULER, inject: [SERVICE_KIT], useFactory: installScheduler }],
    }
  }
}
