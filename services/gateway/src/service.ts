import { defineService } from '@serverless-ai/hosting'
import { gatewayConfig } from './config.ts'
import { GatewayModule } from './gateway.module.ts'

/** How the gateway is started alone. */
export const gatewayService = defineService({
  name: 'gateway',
  schema: gatewayConfig,
  module: ({ host, port, edge }) => GatewayModule.with({ host, port }, edge),
  // Not the SLA monitor, though it is listened to: requests are served without it as well.
  peers: ['mediator', 'scheduler', 'pool-manager'],
  logless: true,
})
