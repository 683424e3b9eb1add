export { type DemandSignal, NO_DEMAND } from './app/demand.ts'
export { Gateway, type GatewayInit } from './app/gateway.ts'
export { type Measured, Outcome, type RequestMeter } from './app/meter.ts'
export {
  type RouteTable,
  type ServiceProtocol,
  type ServiceRoute,
  StaticRoutes,
} from './app/routes.ts'
export { DEFAULT_SETTINGS, type GatewaySettings } from './app/settings.ts'
export { type EdgeConfig, edgeAddress, edgeConfig, gatewayConfig } from './config.ts'
export type { ReplicaRoute } from './core/replicas.ts'
export { GatewayModule } from './gateway.module.ts'
export { gatewayService } from './service.ts'
