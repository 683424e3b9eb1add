import { runService } from '@serverless-ai/hosting'
import { poolManagerService } from './service.ts'

await runService(poolManagerService)
