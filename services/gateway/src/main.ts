import { runService } from '@serverless-ai/hosting'
import { gatewayService } from './service.ts'

await runService(gatewayService)
