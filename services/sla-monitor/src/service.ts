import { defineService } from '@serverless-ai/hosting'
import { slaMonitorConfig } from './config.ts'
import { SlaMonitorModule } from './sla-monitor.module.ts'

/** How the service is started alone. */
export const slaMonitorService = defineService({
  name: 'sla-monitor',
  schema: slaMonitorConfig,
  module: (config) => SlaMonitorModule.with(config),
  peers: ['mediator', 'scheduler'],
})
