import { defineService } from '@serverless-ai/hosting'
import { mediatorConfig } from './config.ts'
import { MediatorModule } from './mediator.module.ts'

/** How the service is started alone. */
export const mediatorService = defineService({
  name: 'mediator',
  schema: mediatorConfig,
  module: (config) => MediatorModule.with(config),
  peers: ['scheduler', 'pool-manager', 'fault-tolerance'],
})
