import { defineService } from '@serverless-ai/hosting'
import { faultToleranceConfig } from './config.ts'
import { FaultToleranceModule } from './fault-tolerance.module.ts'

/** How the service is started alone. */
export const faultToleranceService = defineService({
  name: 'fault-tolerance',
  schema: faultToleranceConfig,
  module: () => FaultToleranceModule.with(),
  peers: ['mediator', 'scheduler', 'pool-manager'],
})
