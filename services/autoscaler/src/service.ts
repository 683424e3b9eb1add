import { defineService, serviceConfig } from '@serverless-ai/hosting'
import { AutoscalerModule } from './autoscaler.module.ts'
import { autoscalerConfig } from './config.ts'

/** How the service is started alone. */
export const autoscalerService = defineService({
  name: 'autoscaler',
  schema: serviceConfig.extend(autoscalerConfig.shape),
  module: (config) => AutoscalerModule.with(config),
  peers: ['mediator', 'scheduler', 'pool-manager', 'sla-monitor', 'resource-profiler'],
})
