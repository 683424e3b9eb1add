import { runService } from '@serverless-ai/hosting'
import { mediatorService } from './service.ts'

await runService(mediatorService)
