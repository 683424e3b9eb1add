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
export type { ReplicaRoute } from './core/replicas.ts'
