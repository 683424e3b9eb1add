import { runService } from '@serverless-ai/hosting'
import { mediatorConfig } from './config.ts'
import { MediatorModule } from './mediator.module.ts'

await runService({
  name: 'mediator',
  schema: mediatorConfig,
  module: (config) => MediatorModule.with(config),
  peers: ['scheduler', 'pool-manager', 'fault-tolerance'],
})
