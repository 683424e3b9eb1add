import { runService } from '@serverless-ai/hosting'
import { faultToleranceService } from './service.ts'

await runService(faultToleranceService)
