import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import { FaultToleranceModule } from '@serverless-ai/fault-tolerance'
import { createPlatformApp, PlatformModule, type PlatformOptions } from '@serverless-ai/hosting'
import { MediatorModule } from '@serverless-ai/mediator'
import { PoolManagerModule } from '@serverless-ai/pool-manager'
import { SchedulerModule } from '@serverless-ai/scheduler'
import type { AllInOneConfig } from './config.ts'

/**
 * The four services in one process: the same modules that run alone, calling each other by gRPC
 * over the loopback.
 */
export function createControlPlane(
  options: PlatformOptions,
  config: Pick<AllInOneConfig, 'leaseMs' | 'workspacesMaxMib'>,
): Promise<NestFastifyApplication> {
  return createPlatformApp(PlatformModule.with(options), [
    MediatorModule.with({ workspaces: { maxTotalMib: config.workspacesMaxMib } }),
    SchedulerModule.with(),
    PoolManagerModule.with({ leaseMs: config.leaseMs }),
    FaultToleranceModule.with(),
  ])
}
