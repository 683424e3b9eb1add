import { runService } from '@serverless-ai/hosting'
import { resourceProfilerService } from './service.ts'

await runService(resourceProfilerService)
