import { systemClock } from '@serverless-ai/kernel/system'
import { openInProcessBus } from './in-process.ts'
import { telemetryBusContract } from './testing/contract.ts'

telemetryBusContract('in process', async () => ({
  open: () => openInProcessBus(systemClock),
  dispose: async () => undefined,
}))
