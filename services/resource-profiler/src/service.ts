import { defineService } from '@serverless-ai/hosting'
import { resourceProfilerConfig } from './config.ts'
import { ResourceProfilerModule } from './resource-profiler.module.ts'

/** How the service is started alone. */
export const resourceProfilerService = defineService({
  name: 'resource-profiler',
  schema: resourceProfilerConfig,
  module: () => ResourceProfilerModule.with(),
  peers: ['mediator', 'scheduler', 'pool-manager'],
})
