import { runService } from '@serverless-ai/hosting'
import { schedulerService } from './service.ts'

await runService(schedulerService)
