import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT } from '@serverless-ai/hosting'
import { installResourceProfiler } from './install.ts'

const RESOURCE_PROFILER = Symbol('RESOURCE_PROFILER')

/** The resource profiler as a Nest module. */
@Module({})
export class ResourceProfilerModule {
  static with(): DynamicModule {
    return {
      module: ResourceProfilerModule,
      providers: [
        { provide: RESOURCE_PROFILER, inject: [SERVICE_KIT], useFactory: installResourceProfiler },
      ],
    }
  }
}
