import { defineService, serviceConfig } from '@serverless-ai/hosting'
import { poolManagerConfig } from './config.ts'
import { PoolManagerModule } from './pool-manager.module.ts'

/** How the service is started alone. */
export const poolManagerService = defineService({
  name: 'pool-manager',
  schema: serviceConfig.extend(poolManagerConfig.shape),
  module: (config) => PoolManagerModule.with(config),
  peers: ['scheduler', 'mediator'],
})
