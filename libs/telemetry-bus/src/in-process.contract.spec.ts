import { openInProcessBus } from './in-process.ts'
import { telemetryBusContract } from './testing/contract.ts'

telemetryBusContract('in process', async () => ({
  open: openInProcessBus,
  dispose: async () => undefined,
}))
