import 'reflect-metadata'

export {
  type AllInOneConfig,
  allInOneConfig,
  nodeIdsOf,
  QUICKSTART_TENANTS,
} from './config.ts'
export { createControlPlane } from './control-plane.ts'
export type { PlatformOutput } from './output.ts'
export { startPlatform } from './platform.ts'
export type { RunningPlatform } from './running.ts'
