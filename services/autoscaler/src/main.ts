import { runService } from '@serverless-ai/hosting'
import { autoscalerService } from './service.ts'

await runService(autoscalerService)
