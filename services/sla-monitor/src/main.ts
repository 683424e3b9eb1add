import { runService } from '@serverless-ai/hosting'
import { slaMonitorService } from './service.ts'

await runService(slaMonitorService)
