import { runService } from '@serverless-ai/hosting'
import { faultToleranceConfig } from './config.ts'
import { FaultToleranceModule } from './fault-tolerance.module.ts'

await runService({
  name: 'fault-tolerance',
  schema: faultToleranceConfig,
  module: () => FaultToleranceModule.with(),
  peers: ['mediator', 'scheduler', 'pool-manager'],
})
