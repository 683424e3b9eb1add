import { type DynamicModule, Module } from '@nestjs/common'
import { RUNTIME_HOST, type RuntimeHost } from '@serverless-ai/hosting'
import { SchedulerGrpc } from './adapters/scheduler.grpc.ts'
import { schedulerDefinition } from './app/definition.ts'
import { SCHEDULER_RUNTIME } from './tokens.ts'

/** Wiring of the scheduler. */
@Module({})
export class SchedulerModule {
  static with(): DynamicModule {
    return {
      module: SchedulerModule,
      providers: [
        {
          provide: SCHEDULER_RUNTIME,
          inject: [RUNTIME_HOST],
          useFactory: (host: RuntimeHost) => host.add(schedulerDefinition()),
        },
        SchedulerGrpc,
      ],
      exports: [SCHEDULER_RUNTIME],
    }
  }
}
