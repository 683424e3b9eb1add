import { defineService } from '@serverless-ai/hosting'
import { schedulerConfig } from './config.ts'
import { SchedulerModule } from './scheduler.module.ts'

/** How the service is started alone. */
export const schedulerService = defineService({
  name: 'scheduler',
  schema: schedulerConfig,
  module: () => SchedulerModule.with(),
  peers: ['pool-manager'],
})
