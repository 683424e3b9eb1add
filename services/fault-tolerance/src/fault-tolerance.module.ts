import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT } from '@serverless-ai/hosting'
import { installFaultTolerance } from './install.ts'

const FAULT_TOLERANCE = Symbol('FAULT_TOLERANCE')

/** Fault tolerance as a Nest module. */
@Module({})
export class FaultToleranceModule {
  static with(): DynamicModule {
    return {
      module: FaultToleranceModule,
      providers: [
        { provide: FAULT_TOLERANCE, inject: [SERVICE_KIT], useFactory: installFaultTolerance },
      ],
    }
  }
}
