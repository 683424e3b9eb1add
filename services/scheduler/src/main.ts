import { runService } from '@serverless-ai/hosting'
import { schedulerConfig } from './config.ts'
import { SchedulerModule } from './scheduler.module.ts'

await runService({
  name: 'scheduler',
  schema: schedulerConfig,
  module: () => SchedulerModule.with(),
  peers: ['pool-manager'],
})
